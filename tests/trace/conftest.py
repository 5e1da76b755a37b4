"""Made-up rows of PanDA's job archive, all 127 columns, for tests."""

import csv

import pytest

from gridtwin.trace import tables
from gridtwin.trace.readers import read

COLUMNS = tables.panda_columns()["column"].to_list()
GOOD = {
    "pandaid": "6500000001",
    "jeditaskid": "38000001",
    "creationtime": "2024-03-04 10:00:00",
    "starttime": "2024-03-04 11:00:00",
    "endtime": "2024-03-04 12:00:00",
    "statechangetime": "2024-03-04 12:05:00",
    "modificationtime": "2024-03-04 12:10:00",
    "jobstatus": "finished",
    "computingsite": "BNL",
    "corecount": "8",
    "cpuconsumptiontime": "20000",
    "prodsourcelabel": "user",
    "processingtype": "panda-client-1.5.68-jedi-run",
    "transformation": "https://example.org/trf/user/runGen-00-00-02",
    "produsername": "Jane Doe",
    "jobname": "user.jdoe.ttbar.v3/.6500000001",
    "proddblock": "mc20_13TeV:mc20_13TeV.410470.PhPy8EG.deriv.DAOD_PHYS.e6337_p5855",
    "inputfileproject": "mc20_13TeV",
    "inputfiletype": "DAOD_PHYS",
    "transexitcode": "0",
    "piloterrorcode": "0",
    "exeerrorcode": "0",
    "superrorcode": "0",
    "ddmerrorcode": "0",
    "brokerageerrorcode": "0",
    "jobdispatchererrorcode": "0",
    "taskbuffererrorcode": "0",
}


@pytest.fixture
def archive(tmp_path):
    """Write an archive with a job for each set of changes to a good one; ids go up."""

    def write(*changes, name="archive.csv", upper=False):
        names = list(dict.fromkeys([*COLUMNS, *(key for change in changes for key in change)]))
        path = tmp_path / name
        with path.open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow([key.upper() if upper else key for key in names])
            for i, change in enumerate(changes):
                row = GOOD | {"pandaid": str(6500000001 + i)} | change
                out.writerow([row.get(key, "") for key in names])
        return path

    return write


@pytest.fixture
def rows(archive):
    """Read a made-up archive of these jobs; each is a set of changes to a good one."""

    def make(*changes, **options):
        return read(archive(*changes), **options)

    return make
