/**
 * Bad values by kind of parameter, and how each must be refused. What is listed here is refused by every tool that has
 * a parameter of that kind; test/mcp/Refusals.test.ts says which parameter is of which kind.
 */
import type { ErrorCode } from "../../src/domain/Errors.ts"

/** One bad value. */
export interface Bad {
  readonly value: unknown
  /** Default INVALID_INPUT. */
  readonly code?: ErrorCode
  /** Where it is not the parameter itself that is to blame. */
  readonly field?: string
}

const values = (list: ReadonlyArray<unknown>, code?: ErrorCode): ReadonlyArray<Bad> =>
  list.map((value) => code === undefined ? { value } : { value, code })

/** Two million letters: a parameter of two megabytes. */
export const huge = "x".repeat(2_000_000)

const deep = (levels: number): unknown => {
  let value: unknown = "x"
  for (let level = 0; level < levels; level++) value = level % 2 === 0 ? { value } : [value]
  return value
}

/** Deeper than a naive walk's stack. */
export const nested = deep(20_000)

/** Names that mean something to JavaScript objects. */
export const prototypeNames = ["__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "valueOf"]

const objects = [[], [[]], {}, { toString: "a.com" }, JSON.parse("{\"__proto__\":{\"a\":1}}") as unknown, nested]

/** JSON of other types than text. */
const notText = values([0, 5, -1.5, Number.NaN, true, false, ["a.com"], ...objects])

/** What a number with these bounds may not be. */
export const notWhole = (low: number, high: number): ReadonlyArray<Bad> =>
  values([
    low - 1,
    high + 1,
    low + 0.5,
    -high,
    1e21,
    2 ** 53,
    -(2 ** 53),
    Number.NaN,
    Number.POSITIVE_INFINITY,
    Number.NEGATIVE_INFINITY,
    String(low + 1),
    "",
    " ",
    "NaN",
    "Infinity",
    "1e1",
    "0x1",
    "1;show info",
    huge,
    true,
    false,
    [low + 1],
    ...objects
  ])

export const notBoolean = values(["true", "false", "", "yes", 0, 1, Number.NaN, [true], ...objects])

/** Texts that try to leave the place they are written to: a command, a payload, a file, a query, a log. */
export const injections = [
  "a.com;clear map #0",
  "a.com; clear map /etc/haproxy/domains.map",
  "a.com\nclear map #0\n",
  "a.com\r\nshow info",
  "a.com <<\nb.com pool_1\n\n",
  "<<",
  "<<EOF",
  "a.com pool_1",
  "a.com\\;show info",
  "a.com#",
  "$HOME",
  "$(id)",
  "`id`",
  "'; DROP TABLE routes; --",
  "\" OR \"\"=\"",
  "../../etc/passwd",
  "%0aclear map #0",
  "a.com\u0000",
  "a.com\u001b[2J",
  "\u202emoc.a",
  "\ud800",
  "\udc00.com",
  "{\"$ne\":null}",
  "@1 show info",
  "prompt",
  "quit"
]

/** Names that no rule takes, for whatever tool. */
const badNames = [
  "",
  " ",
  ".",
  "..",
  "com",
  "localhost",
  "a..com",
  ".a.com",
  "a.com.",
  "a.com..",
  "-a.com",
  "a-.com",
  "a.-com",
  "a_b.com",
  "_dmarc.a.com",
  `${"x".repeat(64)}.com`,
  `${"abcdefghi.".repeat(25)}commm`,
  "a.".repeat(5_000) + "com",
  "1.2.3.4",
  "127.0.0.1",
  "a.1",
  "a.0x1f",
  "[::1]",
  "::1",
  "http://a.com",
  "https://a.com/",
  "//a.com",
  "a.com/path",
  "a.com:80",
  "user@a.com",
  "a.com?x",
  "a.com#x",
  "a,b.com",
  "a+b.com",
  "a=b.com",
  " a.com",
  "a.com ",
  "a .com",
  "a.com\t",
  "a.com\n",
  "\na.com",
  "a\u007f.com",
  "a'.com",
  "a\".com",
  "a\\.com",
  "%61.com",
  "a%00.com",
  "ä.com",
  "а.com",
  "ａ.com",
  "a。com",
  "a\u200d.com",
  "a\u00ad.com",
  "a\u2024com",
  "ß.com",
  "☃.net",
  "１２７.１",
  "xn--zzzzzzz999.de",
  "xn--a.com",
  "xn--.com",
  "XN--A.COM",
  "*",
  "*.",
  "*.com",
  "*.*.a.com",
  "a.*.com",
  "**.a.com",
  "*a.com",
  "a*.com",
  "*.-a.com",
  "*.ä.com",
  "*.1.2.3.4",
  "*..com",
  "null",
  "undefined",
  "NaN",
  huge,
  ...prototypeNames,
  ...injections
]

/** A domain that shall be added. */
export const badNewDomain: ReadonlyArray<Bad> = [
  ...notText,
  ...values([...badNames, "*.co.uk", "*.it.com", "*.IT.com", "*.github.io", "*.kawasaki.jp"]),
  // Somebody else's entries in the maps.
  ...values(["foreign.net", "Foreign.Net", "beyond.net", "*.foreign.org"], "CONFLICT")
]

/** A domain that must exist. */
export const badKnownDomain: ReadonlyArray<Bad> = [
  ...notText,
  ...values(badNames),
  ...values(["nowhere.example", "www.a.com", "*.www.a.com", "foreign.net", "*.co.uk", "constructor.com"], "NOT_FOUND")
]

/** A domain that may be named to remove it; one that is not there is no error. */
export const badRemovedDomain: ReadonlyArray<Bad> = [
  ...notText,
  ...values(badNames),
  ...values(["foreign.net", "beyond.net", "*.foreign.org"], "FORBIDDEN")
]

/** Texts that try to leave the folder of certificates, or to name many files. */
const badFiles = [
  "/",
  "/etc/passwd",
  "/etc/ssl/private/key",
  "../x",
  "../a.com",
  "..\\x",
  "./a.com",
  "a.com/../b",
  "a.com/..",
  "a.com/",
  "certs/a.com",
  ".a.com",
  ".pem",
  "..pem",
  "~/x",
  "a.com\u0000.txt",
  "file:///etc/passwd",
  "-rf",
  "a b",
  "\u2025/x",
  "ｅtc",
  "..%2fx",
  "%2e%2e%2fx",
  `${"x".repeat(300)}.pem`
]

/** A domain to get a certificate for. */
export const badIssuedDomain: ReadonlyArray<Bad> = [
  ...notText,
  ...values([...badNames, ...badFiles, "*.a.com", "*.co.uk", "co.uk", "it.com", "github.io"])
]

/** One word is the name of a file, and that one is not there. */
const isOneWord = (text: string): boolean => /^[a-z0-9][a-z0-9_-]{0,62}$/i.test(text)

/** A certificate that must exist. */
export const badCertificate: ReadonlyArray<Bad> = [
  ...notText,
  ...[...badNames, ...badFiles].map((value): Bad => isOneWord(value) ? { value, code: "NOT_FOUND" } : { value }),
  ...values(["nowhere.example", "a.b.a.com", "*.nowhere.example", "constructor.com", "a.com.pem"], "NOT_FOUND")
]

/** Visible ASCII without a slash and without a dot at its beginning: a file could have this name. */
const isFileName = (text: string): boolean => /^(?!\.)[!-.0-~]{1,250}$/.test(text.replace(/\.pem$/, ""))

/** A file that must be in the folder. */
export const badCertificateFile: ReadonlyArray<Bad> = [
  ...notText,
  ...[...badNames, ...badFiles].map((value): Bad => isFileName(value) ? { value, code: "NOT_FOUND" } : { value }),
  ...values(["nowhere.example", "a.com.key", "constructor.com"], "NOT_FOUND")
]

export const badIp: ReadonlyArray<Bad> = [
  ...notText,
  ...values([
    "",
    " ",
    "localhost",
    "example.com",
    "10.0.0.5:80",
    "10.0.0.5/24",
    "10.0.0.5,10.0.0.6",
    "10.0.0.5 weight 3",
    "127.1",
    "0",
    "0x7f.0.0.1",
    "0x7f000001",
    "0177.0.0.1",
    "010.0.0.1",
    "10.0.0.01",
    "2130706433",
    "1.2.3",
    "1.2.3.4.5",
    "1.2.3.256",
    "1.2.3.-4",
    "1.2.3.4.",
    ".1.2.3.4",
    "１.2.3.4",
    "1。2。3。4",
    "10.0.0.1 ",
    " 10.0.0.1",
    "10.0.0.1\n",
    "10.0.0.1\u0000",
    "10.0.0.1;show info",
    "[::1]",
    "[::1]:80",
    "::1%lo",
    "fe80::1%eth0",
    ":",
    ":::",
    "1::2::3",
    "12345::1",
    "::g",
    "::ffff:10.0.0.1",
    "::ffff:a00:1",
    "::10.0.0.1",
    "::a00:1",
    "::2",
    "2001:DB8::1",
    "2001:db8:0:0:0:0:0:1",
    "2001:0db8::1",
    "2001:db8::0:1",
    "2001:db8::192.0.2.33",
    "0.0.0.0",
    "0.0.0.1",
    "0.255.255.255",
    "::",
    "224.0.0.1",
    "239.255.255.255",
    "ff02::1",
    "ff0e::1",
    "255.255.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "fe80::1",
    "febf::ffff",
    "fd00:ec2::254",
    "fd20:ce::254",
    "100.100.100.200",
    // Ways to the same through IPv6.
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::6464:64c8",
    "64:ff9b::e000:1",
    "64:ff9b::",
    "2002:a9fe:a9fe::1",
    "2002::1",
    // What HAProxy would take as something else than an address.
    "unix@/etc/passwd",
    "/run/haproxy.sock",
    "ipv4@10.0.0.1",
    "tcp@10.0.0.1",
    "fd@3",
    "abns@x",
    "sockpair@1",
    "*",
    huge,
    ...prototypeNames,
    ...injections
  ])
]

export const badPort = notWhole(1, 65_535)
export const badWeight = notWhole(0, 256)
export const badLimit = notWhole(1, 1_000)
export const badTimeout = notWhole(1, 3_600)
export const badWait = notWhole(0, 45)

export const badState: ReadonlyArray<Bad> = [
  ...notText,
  ...values([
    "",
    "READY",
    "ready ",
    "up",
    "down",
    "disabled",
    "ready; show info",
    "maint\n",
    ["ready"],
    huge,
    ...prototypeNames,
    ...injections
  ])
]

export const badSearch: ReadonlyArray<Bad> = [
  ...notText,
  ...values(["x".repeat(254), huge, "a\u0000b", "a\nb", "a\r\nb", "a\u001b[2Jb", "a\u007fb"])
]

const base64 = (text: string) => Buffer.from(text, "utf8").toString("base64url")

export const badCursor: ReadonlyArray<Bad> = [
  ...notText,
  ...values([
    "",
    " ",
    "x",
    "a.com",
    "%%%",
    "====",
    "-1",
    "0",
    huge,
    base64(""),
    base64("a.com; x"),
    base64("a.com\u0000"),
    base64("*.*"),
    base64("ä.com"),
    base64("' OR 1=1 --"),
    `${base64("a.com")}\n`,
    ...prototypeNames,
    ...injections
  ])
]

/** The same for a list of certificates, one of which may be called `*.*`. */
export const badListCursor: ReadonlyArray<Bad> = badCursor.filter(({ value }) => value !== base64("*.*"))

export const badBackend: ReadonlyArray<Bad> = [
  ...notText,
  ...values(
    [
      "",
      " ",
      "web_backend",
      "web",
      "pool_0",
      "pool_01",
      "pool_-1",
      "pool_1.5",
      "pool_999",
      "pool_99999999999999999999",
      "pool_1 ",
      " pool_1",
      "POOL_1",
      "pool_1\n",
      "pool_1/pool_1_1",
      "pool_1;show info",
      "#2",
      "*",
      huge,
      ...prototypeNames,
      ...injections
    ],
    "FORBIDDEN"
  ),
  // In use by another domain: the server named beside it is not one of it.
  { value: "pool_2", field: "server" }
]

/** Names that HAProxy cannot have are refused as such; those it could have are not found. */
export const badReadBackend: ReadonlyArray<Bad> = badBackend.flatMap(({ code, value }) =>
  code === undefined || value === "web_backend"
    ? notText.filter((bad) => Object.is(bad.value, value))
    : [/^[A-Za-z0-9_.:-]{1,255}$/.test(String(value)) ? { value, code: "NOT_FOUND" } : { value }]
)

/** Words of a list: the same for servers and backends, whose words differ from these. */
export const badStatus: ReadonlyArray<Bad> = [
  ...notText,
  ...values(["", "UP", "up ", "ready", "unknown", "up; show info", "down\n", ["up"], huge, ...prototypeNames])
]

/** A name alone is no position among servers or loads. */
export const notPosition: ReadonlyArray<Bad> = values(
  ["pool_1", "pool_1/", "/pool_1_1", "-1 pool_1", "1  x"].map(base64)
)

export const badServer: ReadonlyArray<Bad> = [
  ...notText,
  ...values(
    [
      "",
      " ",
      "w1",
      "pool_1",
      "pool_1_0",
      "pool_1_01",
      "pool_1_99",
      "pool_1_-1",
      "pool_1_1 ",
      "POOL_1_1",
      "pool_1_1\n",
      "pool_1/pool_1_1",
      "pool_1_1;show info",
      "#1",
      huge,
      ...prototypeNames,
      ...injections
    ],
    "FORBIDDEN"
  ),
  { value: "pool_2_1" },
  { value: "pool_1_5", code: "NOT_FOUND" }
]

export const badOperation: ReadonlyArray<Bad> = [
  ...notText,
  ...values(
    [
      "",
      "x",
      "chg_",
      "chg_0",
      "chg_nope",
      "CHG_0",
      "op_",
      "op_nope",
      "chg_' OR 1=1 --",
      "chg_x\n",
      huge,
      ...prototypeNames,
      ...injections
    ],
    "NOT_FOUND"
  )
]

export const badTime: ReadonlyArray<Bad> = [
  ...notText,
  ...values([
    "",
    " ",
    "yesterday",
    "now",
    "0",
    "1767225600",
    "2026",
    "2026-13-01",
    "2026-01-32",
    "2026-01-01 00:00:00",
    "2026-01-01T25:00:00Z",
    "2026-01-01T00:00:00",
    "2026-01-01\n",
    "26-1-1",
    huge,
    ...prototypeNames,
    ...injections
  ])
]

const tooMany = Array.from({ length: 11 }, (_, index) => ({ ip: `10.1.0.${index + 1}` }))
const oneBad = (entry: unknown): ReadonlyArray<unknown> => [{ ip: "10.1.0.1" }, entry]

/** The list as such; its entries' own fields are parameters of their own. */
export const badServers: ReadonlyArray<Bad> = [
  ...values([
    0,
    5,
    true,
    false,
    {},
    { 0: { ip: "10.1.0.1" }, length: 1 },
    "",
    "x",
    "{}",
    "[]",
    "null",
    "true",
    "5",
    "\"10.1.0.1\"",
    "[",
    "[".repeat(9_000),
    `[${" ".repeat(11_000)}]`,
    "[{\"ip\":\"10.1.0.1\"}",
    "[{'ip':'10.1.0.1'}]",
    "10.1.0.1",
    "10.1.0.1,10.1.0.2",
    huge,
    [],
    tooMany,
    JSON.stringify(tooMany)
  ]),
  { value: nested, field: "servers[0].value" },
  ...[null, 1, "10.1.0.2", [], [{ ip: "10.1.0.2" }], nested].flatMap((entry): ReadonlyArray<Bad> => [
    { value: oneBad(entry), field: "servers[1]" },
    ...(entry === nested ? [] : [{ value: JSON.stringify(oneBad(entry)), field: "servers[1]" }])
  ]),
  ...["port", "weight", "IP", ...prototypeNames].flatMap((name): ReadonlyArray<Bad> => {
    const text = `[{"ip":"10.1.0.1"},{"ip":"10.1.0.2",${JSON.stringify(name)}:1}]`
    const field = `servers[1].${name}`
    return [{ value: text, field }, { value: JSON.parse(text) as unknown, field }]
  })
]

/** Texts that a Runtime API command cannot carry as one word. */
const notWord = injections.filter((text) => /[\s;<\\"'$#/]|[^\u0021-\u007e]/.test(text))

/** A host that is only looked up may be nearly anything that is one word. */
export const badHost: ReadonlyArray<Bad> = [
  ...notText,
  ...values(["", " ", "*.a.com", "http://a.com", "a.com/path", "//a.com", "a b", "x".repeat(254), huge, ...notWord])
]

export const badPath: ReadonlyArray<Bad> = [
  ...notText,
  ...values(["", " ", "a", "a.com/x", "/a b", "/\n", "/\u0000", "/ä", `/${"x".repeat(2_001)}`, huge, ...notWord])
]

export const badAddress: ReadonlyArray<Bad> = [
  ...notText,
  ...values(["", " ", "a.com", "1.2.3", "1.2.3.4/8", "0x7f.1", "127.1", "[::1]", "::1%lo", huge, ...injections])
]
