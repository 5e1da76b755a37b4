# From a CSV of job records to the answer to a question; run in an empty folder.
set -eu

# --8<-- [start:records]
gridtwin example lublin --jobs 1500 --seed 1 -o jobs.csv # stands for records of your own
gridtwin check jobs.csv
gridtwin ingest jobs.csv -o jobs.parquet
# --8<-- [end:records]

# --8<-- [start:look]
gridtwin analyse jobs.parquet -o analysis
# --8<-- [end:look]

# --8<-- [start:learn]
gridtwin train trace jobs.parquet -o model
gridtwin sample model -o same.parquet --seed 1
gridtwin evaluate --train jobs.parquet --synthetic same.parquet -o scores
# --8<-- [end:learn]

# --8<-- [start:ask]
gridtwin sample model -o busy.parquet --seed 1 --rate 1.2
gridtwin simulate --jobs same.parquet --cores 256 --policy easy -o runs/now
gridtwin simulate --jobs busy.parquet --cores 256 --policy easy -o runs/busy
gridtwin simulate --jobs busy.parquet --cores 320 --policy easy -o runs/larger
# --8<-- [end:ask]
