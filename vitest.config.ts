import { defineConfig } from "vitest/config"

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

export default defineConfig({
  test: {
    globalSetup: ["test/support/BuiltOnce.ts"],
    testTimeout: 180_000,
    hookTimeout: 240_000,
    maxWorkers: 3,
    // Hundreds of real processes share the machine: what fails once for want of a processor is run again, and said.
    retry: process.env["CI"] === "true" ? 1 : 0,
    reporters: ["default"],
    projects: [
      { extends: true, test: { name: "shared", include: shared, isolate: false } },
      { extends: true, test: { name: "own", include: ["test/**/*.test.ts"], exclude: shared } }
    ]
  }
})
