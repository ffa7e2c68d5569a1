"""Processor time of the service, its database and the clients."""

from contextlib import closing

import psutil
import psycopg2

from benchmarks.servers import Running

SERVING = (
    "SELECT pid FROM pg_stat_activity"
    " WHERE application_name = 'job-recommender' AND datname = current_database()"
)


def processor_s(server: Running, url: str) -> list[float]:
    """Seconds of processor time so far: of the service, of the database's processes
    that serve it, and of this one, which is the clients.
    """
    with closing(psycopg2.connect(url)) as connection:
        cursor = connection.cursor()
        cursor.execute(SERVING)
        serving = [psutil.Process(row[0]) for row in cursor.fetchall()]
    times = [each.cpu_times() for each in [*serving, psutil.Process()]]
    *database, clients = [each.user + each.system for each in times]
    return [server.cpu_s(), sum(database), clients]
