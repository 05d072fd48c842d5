"""What is saved comes back: values, attributes, words, and variables in name order however Zarr lists them."""

import numpy as np
import xarray as xr
import zarr

from twinarm.workflows import store


def test_variables_come_back_in_name_order(tmp_path, monkeypatch):
    names = ["weight", "age", "sex", "bmi", "creatinine"]
    values = {name: ("twin", np.arange(5.0), {"units": "1"}) for name in names} | {"sex": ("twin", list("fmfmf"))}
    saved = xr.Dataset(values, coords={"twin": np.arange(5) * 3})
    store.save(tmp_path / "cohort.zarr", saved, 2)
    monkeypatch.setattr(zarr.Group, "arrays", _backwards(zarr.Group.arrays))
    loaded = store.load(tmp_path / "cohort.zarr")
    assert list(loaded.data_vars) == sorted(names)
    xr.testing.assert_identical(loaded[names], saved[names])
    group = store.open_group(tmp_path / "cohort.zarr")
    assert [name for name, _ in store.arrays_of(group)] == sorted(names)
    assert list(store.load_coords(group)) == ["twin"]


def _backwards(arrays):
    return lambda group: reversed(sorted(arrays(group), key=lambda pair: pair[0]))
