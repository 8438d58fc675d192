import fc from "fast-check";

/** Properties draw the same cases in each run, so that a run tells what a change has done; with `CCW_TEST_SEED=N` they draw others. */
fc.configureGlobal({ seed: Number(process.env["CCW_TEST_SEED"] ?? 1) });

export default fc;
