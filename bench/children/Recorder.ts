/**
 * Loaded into a child before its program (`node --import`): SIGUSR2 begins a CPU profile, the next one ends it and
 * writes it to the file that BENCH_PROFILE names, whole. So that the start of the child does not count.
 */
import { renameSync, writeFileSync } from "node:fs"
import { Session } from "node:inspector/promises"

const file = process.env["BENCH_PROFILE"]!
// The program refuses variables that it does not know; this one is not among its names, but is nobody's business.
delete process.env["BENCH_PROFILE"]

const session = new Session()
let recording = false

const toggle = async () => {
  recording = !recording
  if (recording) {
    session.connect()
    await session.post("Profiler.enable")
    await session.post("Profiler.setSamplingInterval", { interval: 200 })
    await session.post("Profiler.start")
    writeFileSync(`${file}.begun`, "")
    return
  }
  const { profile } = await session.post("Profiler.stop")
  writeFileSync(`${file}.part`, JSON.stringify(profile))
  renameSync(`${file}.part`, file)
}

process.on("SIGUSR2", () => void toggle())
