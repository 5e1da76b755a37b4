#!/bin/sh
# Make the pictures of papers.md and gallery.md anew: sh docs/figures.sh (some minutes)
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

gridtwin example panda --days 30 --scale 0.1 --traces records -o panda.parquet
gridtwin analyse panda.parquet --access records -o panda --figures svg

gridtwin example panda --days 28 --scale 0.05 -o grid.parquet
gridtwin train trace grid.parquet -o grid-model
gridtwin sample grid-model -o grid-synthetic.parquet --seed 1
gridtwin report --train grid.parquet --synthetic grid-synthetic.parquet -o grid

gridtwin example lublin --jobs 3000 -o machine.parquet
gridtwin train trace machine.parquet -o machine-model
gridtwin sample machine-model -o machine-synthetic.parquet --seed 1
gridtwin report --train machine.parquet --synthetic machine-synthetic.parquet -o machine

keep() { # folder, figures
    from=$1
    shift
    for name in "$@"; do cp "$from/figures/$name.svg" "$here/images/$from-$name.svg"; done
}
keep panda queue_time final_status error_components waste_by_combination cpu_time site_power \
    dataset_sizes site_footprint access_by_class arrivals_by_day dataset_uses
keep grid shares_site shares_status shares_datatype cdf_cpu_time cdf_input_bytes arrivals_over_time \
    association_real association_difference
keep machine cdf_run_time cdf_cores_req cdf_walltime_req cdf_interarrival association_real \
    association_difference arrivals_over_time load_wait
