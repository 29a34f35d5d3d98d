/** Files of rows, well and badly made: what is read, and in which words the rest is refused. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gzipSync } from "node:zlib"
import { readCsv } from "../../src/cli/rows/CsvRows.ts"
import { readInput } from "../../src/cli/rows/InputFile.ts"
import { readJson } from "../../src/cli/rows/JsonRows.ts"
import { type Rows, Unreadable } from "../../src/cli/rows/Rows.ts"
import { formatServers, parseServers } from "../../src/program/import/ServerText.ts"
import type { ServerEntry } from "../../src/program/import/Shapes.ts"

const most = 5

const good = (read: Rows | Unreadable): Rows => {
  assert(!(read instanceof Unreadable), JSON.stringify(read))
  return read
}

describe("CSV", () => {
  it("is read with quotes, CRLF, empty lines and lines within a field, and each row knows its line", () => {
    const text = "domain,servers\r\n\r\n\"a.com\",\"10.0.0.1:80;\r\n 10.0.0.2:80\"\r\nb.com,\r\n"
    const { problems, rows, warnings } = good(readCsv(text, most))
    assert.deepStrictEqual(rows, [
      [3, { domain: "a.com", servers: "10.0.0.1:80;\n 10.0.0.2:80" }],
      [5, { domain: "b.com", servers: "" }]
    ])
    assert.deepStrictEqual([problems, warnings], [[], []])
  })

  it("says of a line with too few fields that the file may be cut off, when it is the last", () => {
    const { problems, rows, warnings } = good(readCsv("domain,servers\na.com\nb.com,\nc.co", most))
    assert.lengthOf(rows, 1)
    assert.deepStrictEqual(problems.map(({ hint, line }) => [line, hint.includes("cut off")]), [[2, false], [4, true]])
    assert.lengthOf(warnings, 1)
  })

  it.each([
    ["", "is empty"],
    ["\n\n", "is empty"],
    ["a.com,10.0.0.1:80\n", "\"a.com\" on line 1 is no column"],
    ["a.com pool_1\nb.com pool_2\n", "is no column"],
    ["domain;servers\na.com;\n", "is no column"],
    ["domain,domain\n", "names the column domain twice"],
    ["servers\n", "has no column domain"],
    ["domain\na.com\n\"b.com\n", "on line 3"],
    ["domain\n\"a\"b.com\n", "on line 2"],
    [`domain\n${"a.com\n".repeat(6)}`, "more than 5 rows"]
  ])("%j is refused whole", (text, what) => {
    const read = readCsv(text, most)
    assert(read instanceof Unreadable)
    assert.include(read.what, what)
    assert.isNotEmpty(read.hint)
  })
})

describe("JSON", () => {
  it("is a list, whose rows know their lines", () => {
    const { rows, unit } = good(
      readJson("\n[\n  {\"domain\": \"a],[.com\"},\n  {\"domain\": \"b\\\".com\"}\n]\n", most)
    )
    assert.deepStrictEqual([unit, rows], ["line", [[3, { domain: "a],[.com" }], [4, { domain: "b\".com" }]]])
  })

  it("is a list on one line, whose rows are numbered", () => {
    const { rows, unit } = good(readJson("[{\"domain\":\"a.com\"},{\"domain\":\"b.com\"}]", most))
    assert.deepStrictEqual([unit, rows.map(([row]) => row)], ["row", [1, 2]])
  })

  it("is one object on each line, of which a bad one is a bad row", () => {
    const { problems, rows } = good(readJson("{\"domain\":\"a.com\"}\n\n{domain}\n{\"domain\":\"c.com\"}\n", most))
    assert.deepStrictEqual(rows.map(([line]) => line), [1, 4])
    assert.deepStrictEqual(problems.map(({ line }) => line), [3])
  })

  it("is an empty list", () => assert.lengthOf(good(readJson("[]", most)).rows, 0))

  it.each([
    ["", "is empty"],
    ["[{\"domain\":\"a.com\"},\n{\"domain\":\"b.c", "ends within the list, on line 2"],
    ["[{\"domain\":\"a.com\"},\n{\"domain\"}]", "on line 2"],
    ["[{\"domain\":\"a.com\"},]", "a row is missing"],
    ["[,]", "a row is missing"],
    ["[1]\n[2]", "goes on behind its list"],
    ["{\"domain\":\"a.com\"}\n{\"domain\":\"b.c", "ends within line 2"],
    ["hello", "is not JSON"],
    [`[${Array.from({ length: 6 }, () => "1").join()}]`, "more than 5 rows"]
  ])("%j is refused whole", (text, what) => {
    const read = readJson(text, most)
    assert(read instanceof Unreadable)
    assert.include(read.what, what)
  })
})

describe("a file", () => {
  const refusal = async (name: string, make: (file: string) => void) => {
    const folder = mkdtempSync(join(tmpdir(), "haproxy-mcp-rows-"))
    try {
      make(join(folder, name))
      const exit = await Effect.runPromiseExit(readInput(join(folder, name)))
      const error = Exit.findErrorOption(exit)
      assert(error._tag === "Some", "it was read")
      return error.value.message
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  }

  it.each([
    ["gzip", gzipSync("domain\na.com\n"), "is compressed"],
    ["a spreadsheet", Buffer.from("PK\u0003\u0004\u0000"), "spreadsheet"],
    ["HTML", Buffer.from("\ufeff<!DOCTYPE html>"), "is HTML"],
    ["UTF-16", Buffer.from("\ufeffdomain\n", "utf16le"), "UTF-16"],
    ["a program", Buffer.from("\u007fELF\u0000\u0000"), "is no text"],
    ["Latin-1", Buffer.from("domain\nm\u00fcller.de\n", "latin1"), "is not UTF-8"]
  ])("that is %s is refused with what it looks like", async (_, bytes, what) => {
    assert.include(await refusal("file", (file) => writeFileSync(file, bytes)), what)
  })

  it("of 1 GB is refused by its size", async () => {
    const message = await refusal("file", (file) => {
      writeFileSync(file, "domain\n")
      truncateSync(file, 1024 ** 3)
    })
    assert.include(message, "larger than 64 MB")
  })

  it("that is not there, or a folder, is refused", async () => {
    assert.include(await refusal("file", () => {}), "ENOENT")
    assert.include(await refusal(".", () => {}), "is a folder")
  })
})

describe("servers as text", () => {
  it("read back as they were written", () => {
    const servers: ReadonlyArray<ServerEntry> = [
      { slot: 1, ip: "10.0.0.5", port: 80, weight: 1, state: "ready" },
      { slot: 3, ip: "2001:db8::5", port: 8080, weight: 0, state: "drain" }
    ]
    const text = formatServers(servers)
    assert.strictEqual(text, "10.0.0.5:80 slot 1; [2001:db8::5]:8080 slot 3 weight 0 drain")
    assert.deepStrictEqual(parseServers(text), parseServers(` ${text.replaceAll("; ", " ;\n")} ; `))
  })

  it.each([
    ["10.0.0.5", [{ ip: "10.0.0.5" }]],
    ["2001:db8::5", [{ ip: "2001:db8::5" }]],
    ["10.0.0.5:80 maint weight 7", [{ ip: "10.0.0.5", port: 80, state: "maint", weight: 7 }]]
  ])("%s", (text, servers) => {
    const parsed = parseServers(text)
    assert(parsed._tag === "Success")
    assert.deepStrictEqual(parsed.success, servers)
  })

  it.each(["10.0.0.5:80 weight", "10.0.0.5:80 backup", "10.0.0.5:80 slot -1", "[10.0.0.5", "a:b:c]"])(
    "%s is refused",
    (text) => assert.strictEqual(parseServers(text)._tag, "Failure")
  )
})
