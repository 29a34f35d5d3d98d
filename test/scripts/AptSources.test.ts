import { describe, expect, it } from "vitest"
import {
  debianArchive,
  type Machine,
  parseDeb822,
  parseOneLine,
  parseOsRelease
} from "../../scripts/debian/AptSources.ts"

const bookworm: Machine = { id: "debian", name: "Debian GNU/Linux 12 (bookworm)", codename: "bookworm" }
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

describe("one-line sources", () => {
  it("reads address, suite, components and options in brackets", () => {
    expect(parseOneLine(`
# the mirror
deb [ arch=amd64,arm64 signed-by=${keyring} ] http://mirror.test/debian bookworm main contrib # ours
deb-src http://mirror.test/debian bookworm main
#deb http://old.test/debian bullseye main
deb\thttp://mirror.test/debian/\tbookworm-updates\tmain
`)).toEqual([
      { uris: ["http://mirror.test/debian"], suites: ["bookworm"], components: ["main", "contrib"], signedBy: keyring },
      { uris: ["http://mirror.test/debian/"], suites: ["bookworm-updates"], components: ["main"] }
    ])
  })

  it("skips CD-ROMs, whose address holds brackets and spaces", () => {
    expect(parseOneLine("deb cdrom:[Debian GNU/Linux 12.0.0 _Bookworm_ - amd64]/ bookworm main\n")).toEqual([])
  })

  it("keeps the operator's word that an archive is trusted", () => {
    expect(parseOneLine("deb [trusted=yes] copy:/srv/debian trixie main")[0]?.trusted).toBe("yes")
  })
})

describe("deb822 sources", () => {
  it("reads stanzas with comments inside, several suites, and field names in any case", () => {
    expect(parseDeb822(`Types: deb deb-src
# a snapshot
URIs: http://mirror.test/debian
suites: bookworm bookworm-updates
Components: main
Signed-By: ${keyring}

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
`)).toEqual([
      {
        uris: ["http://mirror.test/debian"],
        suites: ["bookworm", "bookworm-updates"],
        components: ["main"],
        signedBy: keyring
      },
      { uris: ["http://mirror.test/debian-security"], suites: ["bookworm-security"], components: ["main"] }
    ])
  })

  it("keeps a key that is written into the stanza, line by line", () => {
    const key = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
    const entries = parseDeb822(
      `Types: deb\nURIs: http://m.test/debian\nSuites: sid\nComponents: main\nSigned-By:\n ${key}\n .\n mQINB\n`
    )
    expect(entries[0]?.signedBy).toBe(`\n ${key}\n .\n mQINB`)
  })

  it.each(["no", "No", "false", "off", "0"])("skips a stanza with Enabled: %s", (value) => {
    const stanza = "Types: deb\nURIs: http://m.test/debian\nSuites: sid\nComponents: main\n"
    expect(parseDeb822(stanza)).toHaveLength(1)
    expect(parseDeb822(`Enabled: ${value}\n${stanza}`)).toEqual([])
  })

  it("skips source-only stanzas", () => {
    expect(parseDeb822("Types: deb-src\nURIs: http://m.test/debian\nSuites: sid\nComponents: main\n")).toEqual([])
  })
})

describe("the Debian archive of the machine", () => {
  it("is the main archive, neither its security archive nor other people's repositories", () => {
    const entries = [
      ...parseOneLine("deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://apt.vendor.test bookworm main"),
      ...parseOneLine("deb https://packages.cloud.test/apt cloud-sdk-bookworm main"),
      ...parseOneLine("deb http://mirror.test/debian-security bookworm-security main"),
      ...parseOneLine(`deb [signed-by=${keyring}] http://mirror.test/debian bookworm-updates main`),
      ...parseOneLine(`deb [signed-by=${keyring}] http://mirror.test/debian bookworm main`)
    ]
    expect(debianArchive(entries, bookworm)).toEqual({
      uris: ["http://mirror.test/debian"],
      suite: "bookworm",
      signedBy: keyring
    })
  })

  it.each([
    "http://snapshot.test/archive/debian/20250520T000000Z",
    "mirror+file:/etc/apt/mirrors/debian.list",
    "https://mirror.test/pub/linux/debian/"
  ])("is recognised at %s", (uri) => {
    expect(debianArchive(parseOneLine(`deb ${uri} stable main`), bookworm)?.uris).toEqual([uri])
  })

  it("may lie under an unusual path when the keyring is Debian's, or on Debian when the suite is its own", () => {
    const signed = parseOneLine(`deb [signed-by=${keyring}] http://proxy.test/deb-main bookworm main`)
    const plain = parseOneLine("deb http://proxy.test/deb-main bookworm main")
    expect(debianArchive(signed, bookworm)?.suite).toBe("bookworm")
    expect(debianArchive(plain, bookworm)?.suite).toBe("bookworm")
    expect(debianArchive(plain, { id: "mint", name: "Mint" })).toBeUndefined()
  })

  it("knows the codename of a Debian that came later", () => {
    const entries = parseOneLine("deb http://mirror.test/debian later main")
    expect(debianArchive(entries, { id: "debian", name: "Debian 99", codename: "later" })?.suite).toBe("later")
    expect(debianArchive(entries, bookworm)).toBeUndefined()
  })

  it("does not exist on Ubuntu", () => {
    const machine = parseOsRelease(
      `PRETTY_NAME="Ubuntu 24.04.3 LTS"\nNAME="Ubuntu"\nVERSION_CODENAME=noble\nID=ubuntu\n`
    )
    expect(machine).toEqual({ id: "ubuntu", name: "Ubuntu 24.04.3 LTS", codename: "noble" })
    const entries = parseDeb822(`Types: deb
URIs: http://archive.ubuntu.test/ubuntu/
Suites: noble noble-updates noble-backports
Components: main universe restricted multiverse
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg
`)
    expect(entries).toHaveLength(1)
    expect(debianArchive(entries, machine)).toBeUndefined()
  })
})
