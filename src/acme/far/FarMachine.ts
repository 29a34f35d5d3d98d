/**
 * acme.sh on HAProxy's host, over SSH.
 *
 * Guarantees: everything that acme.sh has (accounts, hooks, credentials, the new key until it is fetched) is over there,
 * and nothing of it in an argument list; a run ends with its connection, and leaves neither a process nor its folder
 * (RunScript.ts); of this process's environment nothing gets there, not even the hook's variables: they come from
 * ACME_CREDENTIALS_FILE and ACME_HOME/account.conf of that host. Files are read and written by SFTP.
 *
 * Where it stops: a host that vanishes without a word (its network is cut) is noticed by sshd there only in its own time;
 * until then a run goes on, at the longest for {@link spare} more than ACME_TIMEOUT.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { randomBytes } from "node:crypto"
import { CommandFailed, type Ended } from "../../domain/Commands.ts"
import { DiskError } from "../../domain/Disk.ts"
import { AcmeFailed, ConfigInvalid, RemoteUnreachable, StorageFailed } from "../../domain/Errors.ts"
import type { FarHost, Heard } from "../../domain/FarHost.ts"
import * as Account from "../Account.ts"
import * as Arguments from "../Arguments.ts"
import { type CredentialsText, longest, problemOf, unreadable } from "../Credentials.ts"
import {
  located as locatedBy,
  type Machine,
  type MachineError,
  type Places,
  type Run,
  type RunEvent,
  type RunOrder,
  type Surroundings
} from "../Machine.ts"
import { judge, missing } from "../Program.ts"
import { quiet } from "../Quiet.ts"
import { lineReader } from "../Run.ts"
import * as Look from "./Look.ts"
import { folderEnd, parentName, readSaid, runScript, sweepScript } from "./RunScript.ts"
import { scripted } from "./Script.ts"

/** Places may begin with `~/`, which is the SSH user's home. */
export interface FarOptions extends Places {
  /** ACME_COMMAND; null: search. */
  readonly command: ReadonlyArray<string> | null
  /** ACME_DNS. */
  readonly dns: string
  /** ACME_TIMEOUT, milliseconds. */
  readonly timeout: number
}

/** As many as the SSH connection listens to (remote/Session.ts). */
const runsAtOnce = 2
/** Milliseconds for a look, and for a sweep. */
const scriptTime = 20_000
/** Seconds after ACME_TIMEOUT at which a run ends by itself. */
const spare = 30
/** Bytes of a chain or a key, of a hook, of a bundle. */
const most = { result: 256 * 1024, hook: 1024 * 1024, bundle: 4 * 1024 * 1024 }

const noCommands = (why: string): ConfigInvalid =>
  new ConfigInvalid({
    message: `acme.sh cannot be run there: ${why}.`,
    hint: "With ACME_WHERE=remote the SSH user must be let run commands, with a POSIX shell as /bin/sh there; "
      + "or run acme.sh where haproxy-mcp runs: ACME_WHERE=local.",
    field: "ACME_WHERE"
  })

const notRun = ({ message, reason }: CommandFailed): ConfigInvalid | RemoteUnreachable =>
  reason === "timeout"
    ? new RemoteUnreachable({ message: `HAProxy's host is slow: ${message}`, hint: "Try again." })
    : noCommands(message)

const storageFailed = (action: string, path: string, why: string): StorageFailed =>
  new StorageFailed({
    message: `Cannot ${action} ${path} (${why}).`,
    hint: "acme.sh works in ACME_HOME: give the SSH user a folder there that it may write to, with room."
  })

/** Steps on the host's disk as an effect. What it does not name is a defect. */
const onDisk = <A>(
  action: string,
  path: string,
  steps: () => Promise<A>
): Effect.Effect<A, StorageFailed | RemoteUnreachable> =>
  Effect.catch(
    Effect.tryPromise({ try: steps, catch: (cause) => cause }),
    (cause): Effect.Effect<never, StorageFailed | RemoteUnreachable> => {
      if (cause instanceof RemoteUnreachable) return Effect.fail(cause)
      return cause instanceof DiskError ? Effect.fail(storageFailed(action, path, cause.code)) : Effect.die(cause)
    }
  )

/** What a run says, from what its channel brings. */
const translate = (secretWord: string, refused: (why: string) => StorageFailed, say: (event: RunEvent) => void) => {
  let isOver = false
  const end = (event: RunEvent) => {
    if (!isOver) say(event)
    isOver = true
  }
  const reader = lineReader((line) => {
    const said = readSaid(secretWord, line)
    if (said === null) {
      if (!isOver) say({ _tag: "Line", text: line })
    } else if (said._tag === "Refused") {
      end({ _tag: "Lost", error: refused(said.why) })
    } else if (said._tag === "Ended") end({ _tag: "End", code: said.code })
  })
  return (heard: Heard) => {
    switch (heard._tag) {
      case "Output":
        return reader.add(heard.text)
      case "Lost":
        return end({ _tag: "Lost", error: heard.error })
      case "Ended":
        reader.end()
        return end({
          _tag: "Lost",
          error: new AcmeFailed({
            message: `acme.sh was ended on HAProxy's host from outside (${heard.code ?? "by a signal"}).`,
            hint: "Look at that host: memory, a shutdown, somebody's kill. It is worth trying again.",
            retryable: true
          })
        })
    }
  }
}

/** HAProxy's host. */
export const make = (options: FarOptions, host: FarHost): Machine => {
  const { disk } = host
  const prefix = `On ${host.name}: `
  const located = locatedBy({ prefix })

  const script = (
    name: string,
    text: string,
    args: ReadonlyArray<string>
  ): Effect.Effect<Ended, ConfigInvalid | RemoteUnreachable> => {
    const { argv, stdin } = scripted(name, text, args)
    return Effect.catchTag(
      host.run(argv, { timeout: scriptTime, stdin }),
      "CommandFailed",
      (failed) => Effect.fail(notRun(failed))
    )
  }

  const see = (habits: boolean): Effect.Effect<Look.Seen, ConfigInvalid | RemoteUnreachable> =>
    Effect.gen(function*() {
      const { caBundle, command, credentialsFile, dns, home } = options
      const args = [home, credentialsFile, caBundle ?? "", dns, habits ? "yes" : "no", ...(command ?? [])]
      const { code, stderr, stdout } = yield* script("acme-look", Look.script, args)
      const said = stderr.replace(/[^\u0020-\u007e]+/g, " ").trim().slice(0, 200)
      return Look.read(stdout)
        ?? (yield* noCommands(said === "" ? `a script for sh there did not come to its end (${code})` : said))
    })

  const credentialsOf = async (file: string): Promise<CredentialsText> => {
    try {
      const found = await disk.stat(file)
      if (found === null) return null
      const problem = problemOf(file, { isFile: found.kind === "file", size: Number(found.size), mode: found.mode })
      return problem ?? (await disk.readFile(file, longest))?.toString("utf8") ?? null
    } catch (cause) {
      if (cause instanceof DiskError) return unreadable(file, cause.code)
      throw cause
    }
  }

  /** A text that may be too large or hidden, and then counts as not there. */
  const textOf = async (path: string, largest: number): Promise<string | null> => {
    try {
      return (await disk.readFile(path, largest))?.toString("utf8") ?? null
    } catch (cause) {
      if (cause instanceof DiskError) return null
      throw cause
    }
  }

  const surroundings = (seen: Look.Seen): Effect.Effect<Surroundings, MachineError> =>
    Effect.gen(function*() {
      const { command, hook, path, places } = seen
      if (command.length === 0) return yield* missing({ home: places.home, command: options.command })
      const version = yield* judge(command, seen.version)
      const [credentials, accountConf, hookText] = yield* onDisk("read", hook ?? places.home, () =>
        Promise.all([
          credentialsOf(places.credentialsFile),
          textOf(`${places.home}/account.conf`, longest),
          hook === null ? null : disk.readFile(hook, most.hook)
        ]))
      return {
        ...places,
        program: { command, path, version, takesProfile: seen.takesProfile },
        missingTools: seen.missingTools,
        hasCaBundle: seen.hasCaBundle,
        hook: hook === null ? null : { path: hook, text: hookText?.toString("utf8") ?? "" },
        unwritable: seen.unwritable,
        credentials: { text: credentials, accountConf: accountConf ?? "", env: {} }
      }
    })

  const start = (order: RunOrder): Effect.Effect<Run, MachineError, Scope.Scope> =>
    Effect.gen(function*() {
      const { credentials, settings } = order
      const folder = `${settings.home}/${parentName}/${randomBytes(8).toString("hex")}${folderEnd}`
      const secretWord = `haproxy-mcp-${randomBytes(16).toString("hex")}`
      const text = runScript({
        secretWord,
        folder,
        caBundle: settings.caBundle,
        bundleName: Arguments.bundleName,
        files: {
          [Arguments.functionsName]: quiet,
          [Arguments.confName]: Arguments.accountConf(folder, Redacted.value(credentials.saved))
        },
        variables: Arguments.variables(settings, Redacted.value(credentials.hook)),
        limit: Math.ceil(options.timeout / 1_000) + spare
      })
      const { argv, stdin } = scripted("acme-run", text, order.command(folder))
      const heard = yield* Effect.catchTag(
        host.listen(argv, stdin),
        "CommandFailed",
        (failed) => Effect.fail(notRun(failed))
      )
      const events = yield* Queue.unbounded<RunEvent>()
      const refused = (why: string) => located(storageFailed("make a folder for a run in", settings.home, why))
      const hear = translate(secretWord, refused, (event) => Queue.offerUnsafe(events, event))
      yield* Effect.forkScoped(Effect.forever(Effect.map(Queue.take(heard), hear)))
      return {
        folder,
        events,
        read: (path) =>
          onDisk("read", path, async () => {
            try {
              return (await disk.readFile(path, most.result))?.toString("utf8") ?? null
            } catch (cause) {
              if (cause instanceof DiskError && cause.code === "EFBIG") return ""
              throw cause
            }
          })
      }
    })

  return {
    prefix,
    runsAtOnce,
    look: Effect.flatMap(see(false), surroundings),
    inspect: Effect.match(see(true), {
      onFailure: (error) => ({ habits: { schedules: [], saved: [] }, look: Effect.fail(error) }),
      onSuccess: (seen) => ({ habits: seen.habits, look: surroundings(seen) })
    }),
    account: (home, directory) =>
      onDisk("read the account in", home, async () => {
        const folder = Account.folderOf(home, directory)
        const [conf, key] = await Promise.all(
          ["ca.conf", "account.key"].map((name) => textOf(`${folder}/${name}`, longest))
        )
        return { conf: conf ?? null, key: key ?? null }
      }),
    writeAccount: (home, directory, conf) =>
      onDisk("write the account in", home, async () => {
        const folder = Account.folderOf(home, directory)
        await disk.makeFolder(folder, 0o700)
        const temp = `${folder}/ca.conf.haproxy-mcp-${randomBytes(4).toString("hex")}`
        await disk.writeNew(temp, [Buffer.from(conf)], { mode: 0o600 })
        try {
          await disk.rename(temp, `${folder}/ca.conf`)
        } catch (cause) {
          await disk.unlink(temp).catch(() => {})
          throw cause
        }
      }),
    start,
    caBundle: async () => {
      if (options.caBundle === null) return null
      try {
        const path = options.caBundle.startsWith("~/")
          ? (await Effect.runPromise(see(false))).places.caBundle
          : options.caBundle
        return path === null ? null : (await disk.readFile(path, most.bundle))?.toString("utf8") ?? null
      } catch {
        return null
      }
    },
    sweep: Effect.asVoid(script("acme-sweep", sweepScript, [options.home]))
  }
}
