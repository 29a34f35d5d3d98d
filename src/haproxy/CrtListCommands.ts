/**
 * Commands on crt-lists: which certificates a `bind` serves, from a file (`crt-list FILE`) or a folder (`crt FOLDER`).
 *
 * Traps that callers must know, all seen on the real binaries (3.0.11, 3.2.26, 3.4.7):
 * - A list of a file takes the same certificate twice, and then deleting needs the line; a folder refuses the second.
 * - The line form of `add` drops SNI filters: only the payload form is used here.
 * - A folder may be named with or without its last slash; it is listed without.
 * - Without `strict-sni` the first certificate of a bind is its default one and cannot be deleted.
 */
import * as Result from "effect/Result"
import { refused } from "./Cli.ts"
import type { Command, Verdict } from "./Command.ts"

/** One line of a list. */
export interface CrtListEntry {
  /** The certificate's path. */
  readonly certificate: string
  /** Number of the line; 0 for what a folder had at start. */
  readonly line: number
  /** What follows the certificate: `[alpn h2] example.com !www.example.com`, or nothing. */
  readonly rest: string
}

/*
 * show ssl crt-list (3.0.11, 3.2.26, 3.4.7): nothing at all where no bind has certificates
 *
 * /etc/haproxy/certs
 * /etc/haproxy/crt-list.txt
 */
const parseLists = (answer: string): Verdict<ReadonlyArray<string>> => {
  const lines = answer.split("\n").filter((line) => line !== "")
  // A path may have spaces; a sentence of HAProxy has some, and does not begin like a path.
  return lines.every((line) => /^(?:[/.@]|\S+$)/.test(line)) ? Result.succeed(lines) : refused(answer)
}

/** `show ssl crt-list`: the paths of all lists. */
export const lists: Command<ReadonlyArray<string>> = { words: ["show", "ssl", "crt-list"], parse: parseLists }

/*
 * show ssl crt-list -n LIST (3.4.7); HAProxy prints a NUL after a protocol of `alpn`
 *
 * # /etc/haproxy/crt-list.txt
 * /etc/haproxy/certs/a.pem:1
 * /etc/haproxy/certs/b.pem:2 [alpn h2\0] b.example.com !x.b.example.com
 *
 * or: didn't find the specified filename
 */
const entry = /^(.+?):(\d+)(?: (.*))?$/

const parseEntries = (answer: string): Verdict<ReadonlyArray<CrtListEntry> | null> => {
  const [head, ...lines] = answer.split("\n")
  if (head === "didn't find the specified filename") return Result.succeed(null)
  if (head?.startsWith("# ") !== true) return refused(answer)
  const entries: Array<CrtListEntry> = []
  for (const line of lines) {
    if (line === "") continue
    const match = entry.exec(line)
    if (match === null) return refused(line)
    entries.push({
      certificate: match[1]!,
      line: Number(match[2]),
      rest: (match[3] ?? "").replaceAll("\0", "").trim()
    })
  }
  return Result.succeed(entries)
}

/** `show ssl crt-list -n LIST`: every line; null: there is no such list. */
export const show = (list: string): Command<ReadonlyArray<CrtListEntry> | null> => ({
  words: ["show", "ssl", "crt-list", "-n", list],
  parse: parseEntries
})

/*
 * add ssl crt-list LIST <<… (3.0.11, 3.2.26, 3.4.7)
 *
 * Inserting certificate '/etc/haproxy/certs/b.pem' in crt-list '/etc/haproxy/certs'.
 * Success!
 *
 * or, after "Can't edit the crt-list: ", one of
 *
 * file already exists in this directory!
 * certificate '/etc/haproxy/certs/b.pem' is empty!
 * certificate '/etc/haproxy/certs/b.pem' does not exist!
 * crt-list '/etc/haproxy/certs' does not exist!
 */
const parseAdd = (certificate: string) => (answer: string): Verdict<"added" | "there"> =>
  answer.startsWith(`Inserting certificate '${certificate}' in crt-list `) && answer.trimEnd().endsWith("\nSuccess!")
    ? Result.succeed("added")
    : answer.trim() === "Can't edit the crt-list: file already exists in this directory!"
    ? Result.succeed("there")
    : refused(answer)

/** `add ssl crt-list LIST <<`: one line, from now on for new connections. */
export const add = (list: string, certificate: string, rest = ""): Command<"added" | "there"> => ({
  words: ["add", "ssl", "crt-list", list],
  payload: [rest === "" ? certificate : `${certificate} ${rest}`],
  parse: parseAdd(certificate)
})

/*
 * del ssl crt-list LIST CERTIFICATE[:LINE] (3.0.11, 3.2.26, 3.4.7)
 *
 * Entry '/etc/haproxy/certs/b.pem' deleted in crtlist '/etc/haproxy/certs'!
 *
 * or, after "Can't delete the entry: ", one of
 *
 * certificate '/etc/haproxy/certs/b.pem' does not exist!
 * certificate '/etc/haproxy/certs/b.pem' can't be found in crt-list '/etc/haproxy/certs'!
 * certificate '/etc/haproxy/certs/b.pem' cannot be deleted, it is used as default certificate by the following frontends:
 * 	- haproxy.cfg:10
 */
const parseDelete = (certificate: string) => (answer: string): Verdict<"deleted" | "not found"> => {
  const text = answer.trim()
  const missing = [`' does not exist!`, `' can't be found in crt-list '`]
  return text.startsWith(`Entry '${certificate}' deleted in crtlist `)
    ? Result.succeed("deleted")
    : missing.some((why) => text.startsWith(`Can't delete the entry: certificate '${certificate}${why}`))
    ? Result.succeed("not found")
    : refused(answer)
}

/** `del ssl crt-list LIST CERTIFICATE[:LINE]`; without a line the certificate must stand there once. */
export const del = (list: string, certificate: string, line?: number): Command<"deleted" | "not found"> => ({
  words: ["del", "ssl", "crt-list", list, line === undefined ? certificate : `${certificate}:${line}`],
  parse: parseDelete(certificate)
})

/** Is this refusal of `del` about a bind's default certificate? */
export const isDefault = (text: string): boolean => text.includes("it is used as default certificate")
