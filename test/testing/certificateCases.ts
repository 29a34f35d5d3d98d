/**
 * Raw inputs about certificates, compared like those of parityCases.ts. `CERTS` stands for the folder of the
 * certificates, `LIST` for the crt-list and `DIR` for a directory of certificates; `{name}` for a PEM text.
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** PEM texts by name: `a`, `b`, `c` self-signed, `other` and `chained` to replace them, and broken ones. */
export const makePems = (): Readonly<Record<string, string>> => {
  const folder = mkdtempSync(join(tmpdir(), "fake-certificates-"))
  const file = (name: string) => join(folder, name)
  const openssl = (...words: ReadonlyArray<string>) => execFileSync("openssl", words, { stdio: "pipe" })
  const read = (name: string) => readFileSync(file(name), "utf8")
  try {
    const selfSigned = (name: string, subject: string, names: string, key: ReadonlyArray<string>) => {
      openssl(
        "req",
        "-x509",
        ...key,
        "-nodes",
        "-keyout",
        file(`${name}.key`),
        "-out",
        file(`${name}.crt`),
        "-days",
        "30",
        "-subj",
        subject,
        ...(names === "" ? [] : ["-addext", `subjectAltName=${names}`])
      )
      return read(`${name}.crt`) + read(`${name}.key`)
    }
    const rsa = ["-newkey", "rsa:2048"]
    const curve = (name: string) => ["-newkey", "ec", "-pkeyopt", `ec_paramgen_curve:${name}`]
    const a = selfSigned("a", "/CN=a.example.com", "DNS:a.example.com,DNS:*.a.example.com", rsa)
    const b = selfSigned("b", "/CN=b.example.com", "DNS:b.example.com", curve("prime256v1"))
    const c = selfSigned("c", "/O=Acme, Inc/CN=c.example.com", "", rsa)
    selfSigned("ca", "/O=Acme, Inc/CN=Test CA", "", curve("prime256v1"))
    openssl(
      "req",
      ...curve("secp384r1"),
      "-nodes",
      "-keyout",
      file("e.key"),
      "-out",
      file("e.csr"),
      "-subj",
      "/C=DE/CN=e"
    )
    writeFileSync(file("extensions"), "subjectAltName=DNS:e.example.com,IP:10.0.0.1")
    const signed = ["-CA", file("ca.crt"), "-CAkey", file("ca.key"), "-CAcreateserial", "-extfile", file("extensions")]
    openssl("x509", "-req", "-in", file("e.csr"), ...signed, "-days", "30", "-out", file("e.crt"))
    return {
      a,
      b,
      c,
      chained: read("e.crt") + read("ca.crt") + read("e.key"),
      mismatch: read("a.crt") + read("b.key"),
      noKey: read("a.crt"),
      onlyKey: read("a.key"),
      garbage: "garbage\n"
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
}

const payload = (command: string, pem: string) => `${command} <<END\n{${pem}}END\n`

/** The inputs, in order. */
export const certificateCases: ReadonlyArray<string> = [
  "show ssl cert\n",
  "show ssl cert CERTS/a.pem\n",
  "show ssl cert CERTS/b.pem\n",
  "show ssl cert DIR/c.pem\n",
  "show ssl cert *CERTS/a.pem\n",
  "show ssl cert /no/such\n",
  "show ssl crt-list\n",
  "show ssl crt-list LIST\n",
  "show ssl crt-list -n LIST\n",
  "show ssl crt-list -n\n",
  "show ssl crt-list DIR\n",
  "show ssl crt-list -n DIR\n",
  "show ssl crt-list /no/such\n",
  // A new certificate, from nothing to served.
  "new ssl cert\n",
  "new ssl cert CERTS/a.pem\n",
  "new ssl cert CERTS/new.pem\n",
  "new ssl cert CERTS/new.pem\n",
  "show ssl cert\n",
  "show ssl cert CERTS/new.pem\n",
  "add ssl crt-list LIST CERTS/new.pem\n",
  "commit ssl cert CERTS/new.pem\n",
  "commit ssl cert\n",
  "abort ssl cert\n",
  "abort ssl cert CERTS/new.pem\n",
  "set ssl cert\n",
  "set ssl cert CERTS/new.pem\n",
  payload("set ssl cert CERTS/new.pem", "c"),
  "show ssl cert\n",
  "show ssl cert *CERTS/new.pem\n",
  "show ssl cert CERTS/new.pem\n",
  "del ssl cert CERTS/new.pem\n",
  // One transaction in the whole process, and it survives the connection.
  payload("set ssl cert CERTS/a.pem", "chained"),
  "commit ssl cert CERTS/a.pem\n",
  "abort ssl cert CERTS/a.pem\n",
  "commit ssl cert CERTS/new.pem\n",
  "show ssl cert\n",
  "show ssl cert CERTS/new.pem\n",
  "add ssl crt-list LIST CERTS/new.pem\n",
  "show ssl cert CERTS/new.pem\n",
  "show ssl crt-list -n LIST\n",
  "add ssl crt-list LIST CERTS/new.pem foo.example.com\n",
  "show ssl crt-list -n LIST\n",
  "del ssl cert CERTS/new.pem\n",
  "del ssl crt-list LIST CERTS/new.pem\n",
  "del ssl crt-list LIST CERTS/new.pem:99\n",
  "del ssl crt-list LIST CERTS/new.pem:x\n",
  "del ssl crt-list LIST CERTS/new.pem:4\n",
  "show ssl crt-list -n LIST\n",
  "add ssl crt-list LIST <<\nCERTS/new.pem [alpn h2] n.example.com *.n.example.com\n\n",
  "add ssl crt-list LIST CERTS/new.pem <<\nCERTS/new.pem z.example.com\n\n",
  "show ssl crt-list -n LIST\n",
  payload("set ssl cert CERTS/new.pem", "b"),
  "commit ssl cert CERTS/new.pem\n",
  "del ssl crt-list LIST CERTS/new.pem:3\n",
  "del ssl crt-list LIST CERTS/new.pem:5\n",
  "del ssl crt-list LIST CERTS/new.pem\n",
  "show ssl crt-list -n LIST\n",
  "show ssl cert CERTS/new.pem\n",
  "del ssl cert CERTS/new.pem\n",
  "del ssl cert CERTS/new.pem\n",
  "show ssl cert\n",
  // Renewal.
  payload("set ssl cert CERTS/a.pem", "chained"),
  "show ssl cert *CERTS/a.pem\n",
  "abort ssl cert CERTS/b.pem\n",
  "abort ssl cert CERTS/a.pem\n",
  "abort ssl cert CERTS/a.pem\n",
  "show ssl cert CERTS/a.pem\n",
  payload("set ssl cert CERTS/a.pem", "chained"),
  "commit ssl cert CERTS/a.pem\n",
  "show ssl cert CERTS/a.pem\n",
  // What is no certificate, or not a whole one.
  payload("set ssl cert CERTS/a.pem", "garbage"),
  payload("set ssl cert CERTS/a.pem", "onlyKey"),
  payload("set ssl cert /no/such", "a"),
  payload("set ssl cert CERTS/a.pem", "mismatch"),
  payload("set ssl cert CERTS/a.pem", "garbage"),
  "commit ssl cert CERTS/a.pem\n",
  payload("set ssl cert CERTS/a.pem", "noKey"),
  "show ssl cert\n",
  "commit ssl cert CERTS/a.pem\n",
  "show ssl cert\n",
  "abort ssl cert CERTS/a.pem\n",
  "show ssl cert CERTS/a.pem\n",
  // Lists.
  "del ssl cert\n",
  "del ssl crt-list\n",
  "del ssl crt-list LIST\n",
  "del ssl crt-list /no/such CERTS/a.pem\n",
  "del ssl crt-list LIST /no/such\n",
  "del ssl crt-list DIR CERTS/b.pem\n",
  "add ssl crt-list\n",
  "add ssl crt-list LIST\n",
  "add ssl crt-list /no/such CERTS/a.pem\n",
  "add ssl crt-list LIST /no/such\n",
  "add ssl crt-list LIST <<\n/no/such n.example.com\n\n",
  "add ssl crt-list LIST <<\nCERTS/b.pem [bogus x] n.example.com\n\n",
  "add ssl crt-list LIST <<\nCERTS/b.pem a.x\nCERTS/b.pem b.x\n\n",
  "add ssl crt-list LIST <<\n# comment\n\n",
  "add ssl crt-list DIR CERTS/b.pem\n",
  "show ssl crt-list -n DIR\n",
  "add ssl crt-list DIR CERTS/b.pem\n",
  // The default certificates of binds without strict-sni.
  "del ssl crt-list LIST CERTS/a.pem\n",
  "del ssl crt-list LIST CERTS/a.pem:1\n",
  "del ssl crt-list LIST CERTS/a.pem:2\n",
  "del ssl crt-list DIR DIR/c.pem\n",
  "add ssl crt-list LIST CERTS/a.pem\n",
  "del ssl crt-list LIST CERTS/a.pem\n",
  "del ssl crt-list LIST CERTS/a.pem:1\n",
  "set severity-output number; del ssl crt-list DIR DIR/c.pem\n",
  "show ssl crt-list -n LIST\n",
  // Others go.
  "del ssl crt-list LIST CERTS/b.pem\n",
  "add ssl crt-list LIST CERTS/b.pem\n",
  [
    "prompt i",
    "set severity-output number",
    "show ssl cert",
    "new ssl cert CERTS/a.pem",
    "new ssl cert /q",
    "abort ssl cert /q",
    "commit ssl cert /q",
    "del ssl cert /q",
    "del ssl cert /q",
    "del ssl crt-list LIST /q",
    "add ssl crt-list LIST /q",
    "add ssl crt-list LIST CERTS/b.pem",
    "show ssl crt-list LIST",
    "show ssl crt-list /no/such",
    "show ssl cert /no/such",
    "set ssl cert CERTS/a.pem <<END\n{garbage}END",
    "set ssl cert CERTS/a.pem <<END\n{a}END",
    "abort ssl cert CERTS/a.pem",
    "set ssl cert CERTS/a.pem <<END\n{a}END",
    "commit ssl cert CERTS/a.pem",
    ""
  ].join("\n")
]
