"""Extraction on a cluster that is there already: joblib's Dask backend, two worker processes, one of them killed."""

import os
import threading
import time

import joblib
import pytest
from test_features import contents, extract, often

from crnnlib.features import LogMel

distributed = pytest.importorskip("distributed")


@pytest.mark.slow
def test_extraction_on_dask_loses_nothing_when_a_worker_is_killed(tracks, home, monkeypatch):
    many = often(tracks, 20)
    alone = contents(extract(many).folder)
    monkeypatch.setenv("CRNNLIB_HOME", str(home / "dask"))
    folder = home / "dask" / "features" / f"often-{LogMel().digest}"
    killed = []

    def kill_one(pid):
        while len(list(folder.glob("*.npy"))) < 30:
            time.sleep(0.002)
        killed.append(len(list(folder.glob("*.npy"))))
        os.kill(pid, 9)

    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
        joblib.parallel_config(backend="dask"),
    ):
        pids = list(client.run(os.getpid).values())
        assert os.getpid() not in pids
        assert len(set(pids)) == 2
        killer = threading.Thread(target=kill_one, args=(pids[0],), daemon=True)
        killer.start()
        store = extract(many, n_jobs=None)
        killer.join()
    assert killed[0] < len(many)
    assert store.track_ids == tuple(many.index)
    assert contents(store.folder) == alone
