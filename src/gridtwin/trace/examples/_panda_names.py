"""Names of the data sets that the PanDA-like example reads: made up, of the real grammar.

``project.number.physics.prodStep.dataType.version``. The counts of projects (14), steps (4) and
data types (54) are published for five months of derived data; which they are, and how often each
is used, is our estimate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = [
    "DATATYPES",
    "KIND",
    "PRODSTEPS",
    "PROJECTS",
    "Catalogue",
    "datatype_shares",
    "renewals",
]

PROJECTS = {
    "mc20_13TeV": 0.30,
    "mc23_13p6TeV": 0.24,
    "data18_13TeV": 0.08,
    "data22_13p6TeV": 0.07,
    "data23_13p6TeV": 0.07,
    "mc21_13p6TeV": 0.06,
    "data17_13TeV": 0.05,
    "data16_13TeV": 0.04,
    "mc16_13TeV": 0.03,
    "data15_13TeV": 0.02,
    "data18_hi": 0.012,
    "valid1": 0.01,
    "data17_5TeV": 0.01,
    "data15_hi": 0.008,
}
"""Share of the sessions that read each project."""
PRODSTEPS = ("deriv", "PhysCont", "merge", "recon")
_NUMBERED = {
    "EXOT": (2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 15),
    "SUSY": (1, 2, 3, 5, 6, 7, 8, 10, 11),
    "JETM": (1, 2, 3, 4, 5, 6),
    "EGAM": (1, 2, 3, 4, 5),
    "TOPQ": (1, 2, 3, 4, 5),
    "STDM": (3, 4, 5, 7),
    "MUON": (1, 2),
    "FTAG": (1, 2),
    "LLP": (1,),
    "HIGG": ("1D1", "2D1", "4D1", "5D1", "6D1", "8D1"),
}
DATATYPES = tuple(
    f"DAOD_{name}"
    for name in (
        "PHYS",
        "PHYSLITE",
        "PHYSVAL",
        *(f"{stem}{n}" for stem, numbers in _NUMBERED.items() for n in numbers),
    )
)
KIND = ("project", "step", "datatype", "epoch")
"""What sister data sets share; places in the tuples here, and the epoch of the tag."""
_COMMON = {"DAOD_PHYS": 0.36, "DAOD_PHYSLITE": 0.22}
"""Share of the sessions that read the two common data types; the rest follow Zipf's law."""
_GENERATORS = ("PhPy8EG", "Sh_2211", "Sh_2214", "MGPy8EG", "Py8EG", "PhH7EG", "aMCPy8EG")
_PROCESSES = (
    "A14_ttbar_hdamp258p75_SingleLep",
    "A14_ttbar_hdamp258p75_dil",
    "AZNLO_Zmumu",
    "AZNLO_Zee",
    "AZNLO_Wplusmunu",
    "maxHTpTV2_BFilter",
    "llvv",
    "ggH125_gamgam",
    "VBFH125_WWlvlv",
    "NNPDF23LO_jj_JZ",
    "tW_dyn_DR_incl",
    "VLQ-TT",
    "GG_direct",
    "dijet_Mjj",
)
_RUN = {
    "data15_13TeV": 276262,
    "data16_13TeV": 297730,
    "data17_13TeV": 325713,
    "data18_13TeV": 348885,
    "data22_13p6TeV": 427929,
    "data23_13p6TeV": 450000,
    "data18_hi": 365498,
    "data15_hi": 286665,
    "data17_5TeV": 340644,
}
"""About the first run of each kind of data."""
_P_TAG, _P_STEP = 5855, 171
_RENEW_EVERY, _RENEW_FIRST, _RENEW_TAKES = 75.0, 45.0, 14.0


def datatype_shares() -> np.ndarray:
    """Return the share of sessions that read each of `DATATYPES`."""
    rest = len(DATATYPES) - len(_COMMON)
    tail = 1 / np.arange(2, rest + 2) ** 0.9
    tail *= (1 - sum(_COMMON.values())) / tail.sum()
    shares = np.empty(len(DATATYPES))
    common = np.array([name in _COMMON for name in DATATYPES])
    shares[common] = [_COMMON[name] for name in DATATYPES if name in _COMMON]
    shares[~common] = np.random.default_rng(54).permutation(tail)
    return shares


def renewals(day: np.ndarray, luck: np.ndarray) -> np.ndarray:
    """Return the epoch of the production tag that a session of each day uses.

    A new tag comes every 75 days; within two weeks all move to it (`luck`, 0 to 1, says when).
    """
    since = np.maximum(day - _RENEW_FIRST - luck * _RENEW_TAKES, -1.0)
    return np.asarray(np.floor(since / _RENEW_EVERY) + 1, dtype=np.int64)


@dataclass
class Catalogue:
    """The data sets made so far: one number each, and the name that belongs to it."""

    names: list[str]
    project: list[int]
    step: list[int]
    datatype: list[int]
    epoch: list[int]
    by_name: dict[str, int]

    @classmethod
    def empty(cls) -> "Catalogue":
        """Return a catalogue without any data set."""
        return cls([], [], [], [], [], {})

    def __len__(self) -> int:
        return len(self.names)

    def add(self, kind: Sequence[int], number: int) -> int:
        """Return the data set of a `KIND` and sample or run number; a new one if its name is."""
        name = _name(kind, number)
        found = self.by_name.get(name)
        if found is not None:
            return found
        self.by_name[name] = len(self.names)
        self.names.append(name)
        for column, value in zip(
            (self.project, self.step, self.datatype, self.epoch), kind, strict=True
        ):
            column.append(value)
        return len(self.names) - 1


_PROJECT_NAMES = tuple(PROJECTS)


def _name(kind: Sequence[int], number: int) -> str:
    """Return the name of a data set; `number` is 0 to 999,999 and the same name for the same."""
    project, step, datatype, epoch = kind
    head = _PROJECT_NAMES[project]
    p = f"p{_P_TAG + _P_STEP * epoch + datatype % 7}"
    if head not in _RUN:
        generator = _GENERATORS[number // 7 % len(_GENERATORS)]
        process = _PROCESSES[number // 5 % len(_PROCESSES)]
        tags = f"e{5000 + number % 3571}_s{3681 + project}_r{13145 + 13 * project}_{p}"
        middle = f"{300000 + number % 600000}.{generator}_{process}{number % 5}"
    elif PRODSTEPS[step] == "PhysCont":
        period = "ABCDEFGHIKLM"[number % 12] if number % 13 else "AllYear"
        middle = f"period{period}.physics_Main"
        tags = f"grp{head[4:6]}_v{1 + number // 13 % 20:02d}_{p}"
    else:
        stream = "physics_HardProbes" if head.endswith("_hi") else "physics_Main"
        middle = f"{_RUN[head] + number % 16000:08d}.{stream}"
        tags = f"f{900 + number % 557}_m{1900 + project}_{p}"
    return f"{head}.{middle}.{PRODSTEPS[step]}.{DATATYPES[datatype]}.{tags}"
