"""Runs cases of the Autobahn TestSuite as a client: `python run.py URL INCLUDE EXCLUDE`, each a list of case ids and
globs with commas between. Prints one line a case: its id, how it behaved, how it closed, and the Close code that came.
"""

import asyncio
import sys

from kosoku import FailureError, run_fuzzingclient


async def main(url, include, exclude):
    try:
        results = await run_fuzzingclient(url, include.split(","), [x for x in exclude.split(",") if x], concurrency=4)
    except FailureError as failure:
        # A case that fails is a result like any other: the test compares it.
        results = failure.results
    for result in results:
        code = result.remote_close_code
        print(
            result.case_id,
            result.behavior.value,
            result.behavior_close.value.replace(" ", "-"),
            "-" if code is None else code,
        )


asyncio.run(main(*sys.argv[1:]))
