/**
 * The root of a container, made from Debian packages: no registry, no debootstrap, and no step that runs anything of
 * them. Their files in the layout of an installed Debian (`/bin` is `/usr/bin`), without documentation, with what
 * maintainer scripts would have made and a service needs: passwd, group and the file of root certificates.
 */
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"

/** Folders that Debian keeps below /usr, with a link of their name in the root. */
const merged = ["bin", "sbin", "lib", "lib64", "lib32"]
const unwanted = ["usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian"]

export interface RootfsRequest {
  /** The unpacked packages (Packages.ts): a folder that holds `root`. */
  readonly packages: string
  /** The folder to make; an older one is replaced. */
  readonly into: string
  /** Lines for /etc/passwd beside root and nobody: `haproxy:x:99:99::/:/bin/false`. */
  readonly users?: ReadonlyArray<string>
}

/** All certificates of the package ca-certificates in one file, as update-ca-certificates would write it. */
const rootCertificates = async (root: string): Promise<string> => {
  const folder = join(root, "usr/share/ca-certificates/mozilla")
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith(".crt")).sort()
  return (await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")))).join("")
}

/** Makes the folder, by a rename when it is complete. */
export const makeRootfs = async ({ into, packages, users = [] }: RootfsRequest): Promise<void> => {
  await mkdir(dirname(into), { recursive: true })
  const made = await mkdtemp(`${into}.tmp-`)
  try {
    for (const name of merged) {
      await mkdir(join(made, "usr", name), { recursive: true })
      await symlink(`usr/${name}`, join(made, name))
    }
    const source = join(packages, "root")
    for (const name of await readdir(source)) {
      const target = merged.includes(name) ? join(made, "usr", name) : join(made, name)
      await cp(join(source, name), target, { recursive: true, verbatimSymlinks: true, force: true })
    }
    for (const path of unwanted) await rm(join(made, path), { recursive: true, force: true })
    for (const path of ["etc/ssl/certs", "proc", "sys", "dev", "tmp", "run", "root", "var/lib"]) {
      await mkdir(join(made, path), { recursive: true })
    }
    const passwd = ["root:x:0:0:root:/root:/bin/sh", ...users, "nobody:x:65534:65534:nobody:/nonexistent:/bin/false"]
    await writeFile(join(made, "etc/passwd"), `${passwd.join("\n")}\n`)
    const groups = passwd.map((line) => line.split(":")).map(([name, , , id]) => `${name}:x:${id}:`)
    await writeFile(join(made, "etc/group"), `${groups.join("\n")}\n`)
    await writeFile(join(made, "etc/ssl/certs/ca-certificates.crt"), await rootCertificates(made))
    await rm(into, { recursive: true, force: true })
    await rename(made, into)
  } finally {
    await rm(made, { recursive: true, force: true })
  }
}
