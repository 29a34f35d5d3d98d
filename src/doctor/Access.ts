/** Who may call: the tokens (their number and strength, never their text), their file, and where serve would listen. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { readFileSync, statSync } from "node:fs"
import { networkInterfaces, userInfo } from "node:os"
import type { SettingsShape } from "../Config.ts"
import { defaultTokenFile } from "../config/tables/McpServer.ts"
import { ConfigInvalid } from "../domain/Errors.ts"
import type { Token } from "../domain/Token.ts"
import { makeTokens, parseTokens } from "../mcp/Auth.ts"
import { bindPolicy } from "../mcp/BindPolicy.ts"
import { modeText } from "./Files.ts"
import { type Check, check, error, type Found, ok, warning } from "./Finding.ts"
import { judgeTokens, readTokens } from "./StoredTokens.ts"

/** Bits that a token can hold at most, by its length and the kinds of characters in it; repeats count little. */
export const tokenBits = (token: string): number => {
  const kinds = /^[0-9]*$/.test(token)
    ? 10
    : /^[0-9a-f]*$/i.test(token)
    ? 16
    : /^[0-9a-z]*$/.test(token) || /^[0-9A-Z]*$/.test(token)
    ? 36
    : 64
  const different = new Set(token).size
  return Math.floor(Math.log2(Math.min(kinds, Math.max(different, 1) * 2)) * Math.min(token.length, different * 6))
}

/** A token that could be guessed, and one that is weaker than it need be. */
const bits = { error: 64, warning: 120 }
const makeOne = "`haproxy-mcp token new`"

const strength = (tokens: ReadonlyArray<string>): Found => {
  const weakest = Math.min(...tokens.map(tokenBits))
  const count = tokens.length === 1 ? "one" : String(tokens.length)
  if (weakest < bits.error) {
    return error("Token", `${count} set, and one could be guessed`, `Make a new one: ${makeOne}.`)
  }
  return weakest < bits.warning
    ? warning("Token", `${count} set, one shorter than it should be`, `Make a new one: ${makeOne}.`)
    : ok("Token", `${count} set, long enough`)
}

const tokenFile = (path: string): ReadonlyArray<Found> => {
  const { mode, uid } = statSync(path)
  const own = uid === 0 || uid === userInfo().uid
  return [
    (mode & 0o027) !== 0
      ? error(
        "Token file",
        `${path} has mode ${modeText(mode)}`,
        `\`chmod 600 ${path}\`, then make a new token: ${makeOne}`
      )
      : !own
      ? warning("Token file", `${path} belongs to user ${uid}`, `\`chown ${userInfo().username} ${path}\``)
      : ok("Token file", `${path}, mode ${modeText(mode)}`)
  ]
}

/** Has this machine an address that strangers could reach? */
const isPublic = (): boolean =>
  Object.values(networkInterfaces()).flat().some((one) =>
    one !== undefined && !one.internal
    && !/^(?:10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|169\.254\.|100\.(?:6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.|fe80:|f[cd])/i
      .test(one.address)
  )

const listening = (settings: SettingsShape, hasToken: boolean): Found => {
  if (settings.mcpTransport === "stdio") return ok("Listener", "none: MCP on standard input and output")
  const bind = bindPolicy({
    host: settings.mcpHost,
    socket: settings.mcpSocket,
    auth: settings.mcpAuth ? "on" : "off",
    hasToken,
    trustedCidrs: settings.mcpTrustedCidrs
  })
  if (bind instanceof ConfigInvalid) return error("Listener", bind.message, bind.hint)
  if (bind.warning !== null) return warning("Listener", bind.warning, `Set MCP_TOKEN or MCP_TOKEN_FILE: ${makeOne}.`)
  if (settings.mcpSocket !== null) return ok("Listener", `unix socket ${settings.mcpSocket}`)
  const where = `${bind.host} port ${settings.mcpPort}, ${hasToken ? "with a token" : "for trusted networks"}`
  return (bind.host === "0.0.0.0" || bind.host === "::") && isPublic()
    ? warning(
      "Listener",
      `${where}, without TLS on a machine with a public address: tokens can be read on the way`,
      "MCP_HOST=127.0.0.1, and HAProxy in front with TLS (`haproxy-mcp config --mcp-allowed-hosts NAME` prints it)."
    )
    : ok("Listener", where)
}

const look = async (settings: SettingsShape, stored: ReadonlyArray<Token>): Promise<ReadonlyArray<Found>> => {
  const file = settings.mcpTokenFile ?? defaultTokenFile
  const store = makeTokens({ token: settings.mcpToken, file, fileOptional: settings.mcpTokenFile === null })
  if (store instanceof ConfigInvalid) return [error("Token file", store.message, store.hint)]
  const found: Array<Found> = []
  const tokens = settings.mcpToken === null ? [] : [Redacted.value(settings.mcpToken)]
  const fixed = tokens.length
  if (store.count() > fixed) {
    tokens.push(...parseTokens(readFileSync(file, "utf8")))
    found.push(...tokenFile(file))
  }
  if (tokens.length > 0) found.unshift(strength(tokens))
  if (settings.mcpToken !== null) {
    found.push(warning(
      "MCP_TOKEN",
      "in the environment: every right, no end, and readable for whoever sees the environment of serve",
      "`haproxy-mcp token new --name NAME --scope …` makes one with rights and an end; then unset MCP_TOKEN and restart."
    ))
  }
  found.push(...judgeTokens(stored, Date.now()))
  if (settings.mcpTrustedCidrs.some((network) => /\/[0-7]$/.test(network))) {
    found.push(error(
      "Trusted networks",
      `MCP_TRUSTED_CIDRS ${settings.mcpTrustedCidrs.join(", ")} trusts a large part of the internet`,
      "Name the networks of your own people only."
    ))
  }
  return [...found, listening(settings, tokens.length + stored.length > 0)]
}

export const checks = (settings: SettingsShape): ReadonlyArray<Check> => [
  check(
    "access",
    "Access",
    Effect.flatMap(
      readTokens(settings.haproxyDbFile),
      (stored) => Effect.promise(() => look(settings, stored ?? []))
    )
  )
]
