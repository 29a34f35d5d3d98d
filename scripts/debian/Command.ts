/**
 * Runs one program to its end, without a shell, with its output captured. Guarantees an end: past `timeoutMs` the
 * program is killed. It stops there: a non-zero exit is a result, not an error; only a program that does not exist
 * is a `FetchFailure` (`NoApt`), since all programs used here come with Debian itself.
 */
import { spawn } from "node:child_process"
import { FetchFailure } from "./FetchFailure.ts"

export interface CommandResult {
  /** Exit code; 128 + signal number is not imitated: a killed program gives -1. */
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** The failure for a machine without one of Debian's own programs. */
export const programMissing = (program: string, cause: unknown): FetchFailure =>
  new FetchFailure(
    "NoApt",
    `${program} cannot be run on this machine`,
    "Packages are fetched with Debian's own tools. Run this on Debian 12 or later (a container will do), or put the " +
      "programs you need into PATH yourself.",
    { cause }
  )

export const runCommand = (
  program: string,
  args: ReadonlyArray<string>,
  options: { readonly timeoutMs: number; readonly cwd?: string }
): Promise<CommandResult> =>
  new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      stdio: ["ignore", "pipe", "pipe"],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      // LC_ALL=C: apt's messages are read below, in English.
      env: { ...process.env, LC_ALL: "C", DEBIAN_FRONTEND: "noninteractive" },
      timeout: options.timeoutMs,
      killSignal: "SIGKILL"
    })
    const stdout: Array<Buffer> = []
    const stderr: Array<Buffer> = []
    child.stdout.on("data", (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on("data", (chunk: Buffer) => stderr.push(chunk))
    child.on("error", (cause: NodeJS.ErrnoException) =>
      reject(
        cause.code === "ENOENT" || cause.code === "EACCES"
          ? programMissing(program, cause)
          : cause
      ))
    child.on("close", (code, signal) =>
      resolve({
        code: code ?? -1,
        stdout: Buffer.concat(stdout).toString(),
        stderr: Buffer.concat(stderr).toString() +
          (signal === "SIGKILL" ? `${program} was killed after ${options.timeoutMs} ms\n` : "")
      }))
  })
