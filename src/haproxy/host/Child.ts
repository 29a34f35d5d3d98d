/**
 * A child process that does one thing and ends.
 *
 * Guarantees: no shell reads its arguments; it gets none of our secrets (only the few variables that programs like
 * podman and systemctl need, or an environment given for it); its output is read to the end and kept up to
 * {@link keptOutput} bytes; it and what it started are killed when its time is over or nobody waits any more.
 */
import * as Effect from "effect/Effect"
import { type ChildProcess, spawn } from "node:child_process"
import { CommandFailed, type CommandOptions, type Commands, type Ended } from "../../domain/Commands.ts"
import { codeOf } from "../DurableFile.ts"

/** Bytes of each of standard output and standard error that are kept. */
const keptOutput = 256 * 1024

/** Variables of ours that a child may see. The rest may hold tokens. */
const passed =
  /^(?:PATH|HOME|USER|LOGNAME|TMPDIR|LANG|TZ|XDG_RUNTIME_DIR|XDG_CONFIG_HOME|XDG_DATA_HOME|DBUS_SESSION_BUS_ADDRESS|CONTAINER_HOST|CONTAINERS_[A-Z_]+|SSH_AUTH_SOCK)$/

const harmless = (): Record<string, string> => {
  const env: Record<string, string> = { LC_ALL: "C" }
  for (const [name, value] of Object.entries(process.env)) {
    if (value !== undefined && passed.test(name)) env[name] = value
  }
  return env
}

/** The child leads a process group of its own, so that what it started ends with it. */
const killAll = (child: ChildProcess): void => {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL")
  } catch {
    // It has ended already.
  }
}

/** Runs a program to its end. Any exit code is an answer. */
export const run = (argv: ReadonlyArray<string>, options: CommandOptions): Effect.Effect<Ended, CommandFailed> =>
  Effect.callback((resume) => {
    const [program = "", ...args] = argv
    const child = spawn(program, args, {
      cwd: options.cwd,
      env: options.env ?? harmless(),
      stdio: ["ignore", "pipe", "pipe"],
      detached: true
    })
    const kept = { stdout: "", stderr: "" }
    for (const name of ["stdout", "stderr"] as const) {
      child[name].setEncoding("utf8")
      child[name].on("data", (part: string) => {
        if (kept[name].length < keptOutput) kept[name] += part.slice(0, keptOutput - kept[name].length)
      })
    }
    const fail = (reason: CommandFailed["reason"], message: string) =>
      resume(Effect.fail(new CommandFailed({ reason, message })))
    const timer = setTimeout(() => {
      killAll(child)
      fail("timeout", `${program} did not end within ${options.timeout} ms`)
    }, options.timeout)
    child.once("error", (error) => {
      clearTimeout(timer)
      const code = codeOf(error)
      // A folder that is not there is reported in the same way as a program that is not.
      if (code === "ENOENT") fail("missing", `there is no program ${program} here`)
      else fail("cannot start", `${program} cannot be started (${code || "unknown"})`)
    })
    child.once("close", (code) => {
      clearTimeout(timer)
      resume(Effect.succeed({ code, ...kept }))
    })
    return Effect.sync(() => {
      clearTimeout(timer)
      killAll(child)
    })
  })

/** The commands of this machine. */
export const localCommands: Commands = { isLocal: true, run }
