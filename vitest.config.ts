import { defineConfig } from "vitest/config"

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    globalSetup: ["test/support/BuiltOnce.ts"],
    testTimeout: 180_000,
    hookTimeout: 240_000,
    maxWorkers: 3,
    // Hundreds of real processes share the machine: what fails once for want of a processor is run again, and said.
    retry: process.env["CI"] === "true" ? 1 : 0,
    reporters: ["default"]
  }
})
