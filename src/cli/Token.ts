/**
 * `haproxy-mcp token`: bearer tokens for the clients of `serve`. With a name a token is kept in the database, as a hash,
 * with its rights (StoredTokens.ts); without one it is a bare secret for MCP_TOKEN or the file of MCP_TOKEN_FILE, which has
 * every right. It is printed once or written to a file, never both, and the ones that a file holds are never printed.
 */
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { NotFound, StorageFailed } from "../domain/Errors.ts"
import { scopes } from "../domain/Principal.ts"
import { Ended, exitCodes } from "./Exit.ts"
import type { Handlers } from "./Handlers.ts"
import { settingFlags, sourcesOf } from "./SettingFlags.ts"
import { parseExpiry, printNewToken, printRevoked, printTokens } from "./StoredTokens.ts"
import { addToken, countTokens, dropOlder } from "./TokenFile.ts"

const say = (text: string) => process.stderr.write(`haproxy-mcp: ${text}\n`)

const wrong = (text: string) =>
  Effect.suspend(() => {
    say(text)
    say("see `haproxy-mcp token new --help`")
    return Effect.fail(new Ended({ code: exitCodes.usage }))
  })

const storing = <A>(work: () => A | Promise<A>): Effect.Effect<A, StorageFailed> =>
  Effect.tryPromise({
    try: async () => work(),
    catch: (error) => {
      if (error instanceof StorageFailed) return error
      throw error
    }
  })

/** Fewer could be guessed, more than any client sends as a header is of no use. */
const bounds = { least: 16, most: 256 }

const usage = (file: string | null) => {
  say(
    file === null
      ? "this is shown once. Give it to serve as MCP_TOKEN, or let `--file` write it for MCP_TOKEN_FILE"
      : `let serve have MCP_TOKEN_FILE=${file}; it reads the file again when it changes, without a restart`
  )
  say("a client sends it as `Authorization: Bearer TOKEN`, for example:")
  say(
    "claude mcp add --transport http haproxy http://127.0.0.1:8000/mcp --header \"Authorization: Bearer TOKEN\""
  )
}

const file = Flag.String("file").pipe(
  Flag.withAlias("f"),
  Flag.withMetavar("FILE")
)

/** What a token with a name is made of; what is wrong with the flags is said. */
const stored = Effect.fnUntraced(function*(
  flags: {
    readonly name: Option.Option<string>
    readonly scope: ReadonlyArray<string>
    readonly domain: ReadonlyArray<string>
    readonly expires: Option.Option<string>
  },
  forFile: boolean
) {
  if (Option.isNone(flags.name)) {
    const needless = flags.scope.length > 0 || flags.domain.length > 0 || Option.isSome(flags.expires)
    return needless ? yield* wrong("--scope, --domain and --expires need --name") : null
  }
  if (forFile) return yield* wrong("--name is for the tokens of the database; --file, --add and --replace for a file")
  const text = Option.getOrElse(flags.expires, () => "90d")
  const expires = parseExpiry(text, Date.now())
  if (expires === undefined) return yield* wrong("--expires must be such as 90d, 12h, 2027-01-31 or never")
  const split = (all: ReadonlyArray<string>) =>
    all.flatMap((one) => one.split(",")).map((one) => one.trim()).filter((one) => one !== "")
  const scopes = split(flags.scope)
  return {
    name: flags.name.value,
    scopes: scopes.length === 0 ? ["read"] : scopes,
    domains: split(flags.domain),
    expires
  }
})

const newToken = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make(
    "new",
    {
      name: Flag.String("name").pipe(
        Flag.withMetavar("NAME"),
        Flag.withDescription("Keep it in the database, as a hash, under this name: who uses it"),
        Flag.optional
      ),
      scope: Flag.String("scope").pipe(
        Flag.withMetavar("SCOPE,…"),
        Flag.withDescription(`With --name: its rights, of ${scopes.join(", ")} (default: read)`),
        Flag.atLeast(0)
      ),
      domain: Flag.String("domain").pipe(
        Flag.withMetavar("NAME,…"),
        Flag.withDescription("With --name: only these domains; *.example.com is all below (default: all)"),
        Flag.atLeast(0)
      ),
      expires: Flag.String("expires").pipe(
        Flag.withMetavar("TIME"),
        Flag.withDescription("With --name: when it ends, such as 90d, 12h, 2027-01-31 or never (default: 90d)"),
        Flag.optional
      ),
      file: file.pipe(
        Flag.withDescription("Write it to this file (mode 0600) as MCP_TOKEN=… instead of printing it"),
        Flag.optional
      ),
      bytes: Flag.Int("bytes").pipe(
        Flag.withMetavar("N"),
        Flag.withDescription("Random bytes in it, 16 to 256 (default: 32, which is 256 bits)"),
        Flag.withDefault(32)
      ),
      add: Flag.Boolean("add").pipe(
        Flag.withDescription("Keep the tokens that the file holds; both old and new ones are good then"),
        Flag.withDefault(false)
      ),
      replace: Flag.Boolean("replace").pipe(
        Flag.withDescription("Take the tokens that the file holds out; they are refused at once"),
        Flag.withDefault(false)
      ),
      settings: settingFlags("stdio")
    },
    Effect.fnUntraced(function*({ add, bytes, domain, expires, file: named, name, replace, scope, settings }) {
      const path = Option.getOrNull(named)
      const wanted = yield* stored({ name, scope, domain, expires }, path !== null || add || replace)
      if (wanted !== null) return yield* printNewToken(handlers, sourcesOf(settings), wanted)
      if (bytes < bounds.least || bytes > bounds.most) {
        return yield* wrong(`--bytes must be a whole number from ${bounds.least} to ${bounds.most}`)
      }
      if (add && replace) return yield* wrong("--add and --replace exclude each other")
      if (path === null && (add || replace)) return yield* wrong("--add and --replace need --file")
      const token = randomBytes(bytes).toString("base64url")
      if (path === null) {
        process.stdout.write(`${token}\n`)
        return usage(null)
      }
      const before = yield* storing(() => countTokens(path))
      if (before > 0 && !add && !replace) {
        return yield* wrong(
          `${path} holds ${before} token${before === 1 ? "" : "s"}: say --add to keep them, or --replace to revoke them`
        )
      }
      const count = yield* storing(() => addToken(path, token, replace ? "drop" : "keep", new Date()))
      say(`a new token is in ${path}; it holds ${count} now`)
      if (before === 0) usage(path)
    })
  ).pipe(
    Command.withDescription(
      "Makes a random token and prints it once. With --name the database keeps its hash with rights, an end and perhaps a "
        + "limit to some domains; it is good at once and until `haproxy-mcp token revoke`. Without --name it is a secret with "
        + "every right for MCP_TOKEN, or for the file of MCP_TOKEN_FILE (--file). A file may hold several, and all of them are "
        + "good: add one, let every client have it, then `haproxy-mcp token retire` the older ones."
    ),
    Command.withShortDescription("Make a token"),
    Command.withExamples([
      { command: "haproxy-mcp token new --name agent --scope read,traffic", description: "May look, drain and weigh" },
      {
        command: "haproxy-mcp token new --name shop --scope config,certs --domain '*.shop.example.com' --expires 30d",
        description: "For one customer's names"
      },
      { command: "haproxy-mcp token new --file /etc/haproxy-mcp/token.env", description: "A file with every right" },
      { command: "haproxy-mcp token new --file /etc/haproxy-mcp/token.env --add", description: "One more, to rotate" },
      { command: "export MCP_TOKEN=$(haproxy-mcp token new)", description: "For this shell" }
    ])
  )

const retire = Command.make(
  "retire",
  { file: file.pipe(Flag.withDescription("The file with the tokens")) },
  Effect.fnUntraced(function*({ file: path }) {
    if (!existsSync(path)) {
      return yield* new NotFound({ message: `${path} is not there`, hint: "Name the file of MCP_TOKEN_FILE." })
    }
    const gone = yield* storing(() => dropOlder(path))
    say(gone === 0 ? `${path} holds no older token` : `${gone} older token${gone === 1 ? " is" : "s are"} refused now`)
  })
).pipe(
  Command.withDescription("Takes every token out of a file but the newest, the last one. They are refused at once."),
  Command.withShortDescription("Refuse all tokens of a file but the newest"),
  Command.withExamples([{ command: "haproxy-mcp token retire --file /etc/haproxy-mcp/token.env" }])
)

const list = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("list", {
    json: Flag.Boolean("json").pipe(Flag.withDescription("Print JSON instead of a table"), Flag.withDefault(false)),
    settings: settingFlags("stdio")
  }, ({ json, settings }) => printTokens(handlers, sourcesOf(settings), json)).pipe(
    Command.withDescription(
      "Lists the tokens of the database: rights, end, last use to the hour; never a secret. Those of MCP_TOKEN and "
        + "MCP_TOKEN_FILE are not among them. Works through a running `serve`, else alone."
    ),
    Command.withShortDescription("List the tokens of the database"),
    Command.withExamples([{ command: "haproxy-mcp token list" }])
  )

const revoke = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("revoke", {
    id: Argument.String("id").pipe(Argument.withDescription("Its id, as `haproxy-mcp token list` says it")),
    settings: settingFlags("stdio")
  }, ({ id, settings }) => printRevoked(handlers, sourcesOf(settings), id)).pipe(
    Command.withDescription(
      "Revokes a token for good. It is refused at once, also on connections that are open; a call that it began is cut, "
        + "but a write that has begun ends. Works through a running `serve`, else alone."
    ),
    Command.withShortDescription("Revoke a token"),
    Command.withExamples([{ command: "haproxy-mcp token revoke 3f9k2m7q1z" }])
  )

export const tokenCommand = <R>(handlers: Pick<Handlers<R>, "alone">) =>
  Command.make("token").pipe(
    Command.withDescription("Bearer tokens for the clients of `haproxy-mcp serve`."),
    Command.withShortDescription("Make, list and revoke bearer tokens"),
    Command.withSubcommands([newToken(handlers), list(handlers), revoke(handlers), retire])
  )
