"""Read the metrics of a running service."""

from prometheus_client.parser import text_string_to_metric_families

from tests.support.service import Service
from tests.support.waiting import wait_until


def metric(service: Service, name: str, **labels: str) -> float:
    """The value of one sample; 0 if it does not exist."""
    text = service.client.get("/metrics").text
    samples = [s for f in text_string_to_metric_families(text) for s in f.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name == name and labels.items() <= sample.labels.items()
    )


def wait_for_metric(
    service: Service, name: str, value: float, *, within_s: float
) -> None:
    """Wait until the sample has this value; fails after a while."""
    wait_until(
        lambda: metric(service, name) == value,
        within_s=within_s,
        failing=lambda: f"{name} is {metric(service, name)}, not {value}",
    )
