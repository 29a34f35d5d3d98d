import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** Folders whose tests leave nothing behind in their process: a worker loads the program once and runs many of their files. */
const shared = [
  "cli",
  "docs",
  "doctor",
  "domain",
  "haproxy",
  "mcp",
  "program",
  "scripts",
  "store",
  "support",
  "testing"
]
  .map((folder) => `test/${folder}/**/*.test.ts`)

/** Minutes of one file after the other: what begins last must not be one of these. */
const longest = ["test/campaign/PodLoss.test.ts", "test/campaign/Campaign.test.ts"]

class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const isLongest = ({ moduleId }: TestSpecification) => longest.some((path) => moduleId.endsWith(path))
    const sorted = await super.sort(files)
    return [...sorted.filter(isLongest), ...sorted.filter((file) => !isLongest(file))]
  }
}

export default defineConfig({
  test: {
    globalSetup: ["test/support/BuiltOnce.ts"],
    testTimeout: 180_000,
    hookTimeout: 240_000,
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    // Hundreds of real processes share the machine: what fails once for want of a processor is run again, and said.
    retry: process.env["CI"] === "true" ? 1 : 0,
    reporters: ["default"],
    projects: [
      { extends: true, test: { name: "shared", include: shared, isolate: false } },
      { extends: true, test: { name: "own", include: ["test/**/*.test.ts"], exclude: shared } }
    ]
  }
})
