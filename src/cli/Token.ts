/**
 * `haproxy-mcp token new` and `token retire`: bearer tokens for the clients of `serve`. A token is printed once or
 * written to a file, never both, and the ones that a file holds are never printed.
 */
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { randomBytes } from "node:crypto"
import { existsSync } from "node:fs"
import { NotFound, StorageFailed } from "../domain/Errors.ts"
import { Ended, exitCodes } from "./Exit.ts"
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

const newToken = Command.make(
  "new",
  {
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
    )
  },
  Effect.fnUntraced(function*({ add, bytes, file: named, replace }) {
    const path = Option.getOrNull(named)
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
    "Makes a random token and prints it once, or writes it to a file. A file may hold several, and all of them are good: "
      + "add one, let every client have it, then `haproxy-mcp token retire` the older ones. So nobody is ever locked out."
  ),
  Command.withShortDescription("Make a token"),
  Command.withExamples([
    { command: "haproxy-mcp token new --file /etc/haproxy-mcp/token.env", description: "The first one" },
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
  Command.withShortDescription("Refuse all tokens but the newest"),
  Command.withExamples([{ command: "haproxy-mcp token retire --file /etc/haproxy-mcp/token.env" }])
)

export const tokenCommand = Command.make("token").pipe(
  Command.withDescription("Bearer tokens for the clients of `haproxy-mcp serve`."),
  Command.withShortDescription("Make and retire bearer tokens"),
  Command.withSubcommands([newToken, retire])
)
