"""100 spans through the batch processor into a file."""

import os
import signal
import sys

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

with open("spans.json", "w") as file:
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(ConsoleSpanExporter(out=file)))
    tracer = provider.get_tracer("probe")
    for number in range(9_000_000, 9_000_100):
        with tracer.start_as_current_span("probe", attributes={"number": number}):
            pass
    if sys.argv[1] == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    provider.shutdown()
