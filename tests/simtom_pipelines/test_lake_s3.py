from __future__ import annotations

from collections.abc import Iterator

import boto3
import polars as pl
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from simtom_pipelines.datasets import DatasetSpec
from simtom_pipelines.lake import LakeError, ParquetLake
from simtom_pipelines.materialize import write_days, write_dimension
from simtom_pipelines.storage import StorageError
from tests.simtom_pipelines.toy_lake import DAY, DAYS, REF, frame, never, stamp, toy

__all__ = ["toy"]

ROOT = "s3://bucket/lake"
KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "aws_region": "us-east-1"}
pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning", "default::ResourceWarning")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def options(endpoint: str) -> Iterator[dict[str, str]]:
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_bucket(Bucket="bucket")
    yield {**KEYS, "aws_endpoint_url": endpoint, "aws_allow_http": "true"}
    for item in client.list_objects_v2(Bucket="bucket").get("Contents", []):
        client.delete_object(Bucket="bucket", Key=item["Key"])
    client.delete_bucket(Bucket="bucket")


def test_days_are_stored_kept_and_read(options: dict[str, str], toy: DatasetSpec) -> None:
    lake = ParquetLake(ROOT, options)
    written = list(write_days(lake, toy, "visits", DAYS))
    assert [p.generated for p in written] == [True] * len(DAYS)
    assert written[0].path == f"{ROOT}/toy/visits/date=2024-03-09/part-0.parquet"
    assert [p.generated for p in write_days(lake, toy, "visits", DAYS)] == [False] * len(DAYS)
    assert lake.days("toy", "visits") == DAYS
    found = lake.scan("toy", "visits", DAYS[1], DAYS[2]).collect()
    assert found.drop("date").equals(pl.concat([frame(day) for day in DAYS[1:3]]))
    with lake.open(written[0].path) as source:
        assert pq.ParquetFile(source).metadata.num_rows == written[0].rows


def test_failing_source_leaves_the_old_object(options: dict[str, str]) -> None:
    def batches(good: int) -> Iterator[pl.DataFrame]:
        yield from [frame()] * good
        raise RuntimeError("the source broke")

    lake = ParquetLake(ROOT, options)
    lake.write(REF, DAY, [frame()], stamp("old"))
    for good in (1, 3):
        with pytest.raises((RuntimeError, LakeError), match="the source broke"):
            lake.write(REF, DAY, batches(good), stamp("new"), if_exists="overwrite")
        found = lake.partition("toy", "visits", DAY)
        assert found is not None
        assert found.footer.fingerprint == "old"
        assert lake.scan("toy", "visits").drop("date").collect().equals(frame())
    with pytest.raises(LakeError, match="--if-exists overwrite"):
        lake.write(REF, DAY, never(), stamp("new"))


def test_nothing_is_stored_yet(options: dict[str, str]) -> None:
    lake = ParquetLake(ROOT, options)
    assert lake.days("toy", "visits") == []
    assert lake.partition("toy", "visits", DAY) is None
    with pytest.raises(LakeError, match="has no partitions"):
        lake.scan("toy", "visits")


def test_bucket_that_does_not_exist(options: dict[str, str]) -> None:
    with pytest.raises(LakeError, match=r"cannot be written: .*bucket does not exist"):
        ParquetLake("s3://elsewhere/lake", options).write(REF, DAY, [frame()], stamp())


def test_refused_request_is_one_error_that_names_the_object(options: dict[str, str]) -> None:
    lake = ParquetLake("s3://NO bucket/lake", options)
    with pytest.raises(StorageError, match=r"s3://NO bucket/lake/toy/visits: .*SIMTOM_STORAGE_OPTIONS"):
        lake.days("toy", "visits")
    with pytest.raises(LakeError, match="s3://NO bucket"):
        lake.partition("toy", "visits", DAY)


def test_dimension_needs_a_day_of_the_dataset(options: dict[str, str], toy: DatasetSpec) -> None:
    with pytest.raises(LakeError, match="before the dataset's start_date"):
        write_dimension(ParquetLake(ROOT, options), toy, "visits", DAYS[0].replace(year=2020))
