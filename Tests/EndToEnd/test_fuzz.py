"""A short fuzzing of the running server; `make fuzz` goes on for longer."""

import unittest

import fuzz
import paths


@unittest.skipUnless(paths.binary(), "prism is not built: run `swift build`, or name a binary in PRISM_BINARY")
class FuzzTests(unittest.TestCase):
    def test_mutated_frames_harm_nobody(self):
        done, requests = fuzz.fuzz(seconds=4, seed=1, runs=1_000)
        self.assertGreater(done, 20)
        self.assertGreater(requests, 20)

    def test_a_seed_always_sends_the_same(self):
        streams = fuzz.corpus()
        self.assertGreater(len(streams), 100)
        made = [[fuzz.mutated(chance, streams) for _ in range(20)] for chance in map(fuzz.random.Random, (5, 5, 6))]
        self.assertEqual(made[0], made[1])
        self.assertNotEqual(made[0], made[2])


if __name__ == "__main__":
    unittest.main()
