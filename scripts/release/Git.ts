/** The few questions to git, and the commit and tag of a release. */
import { spawnSync } from "node:child_process"
import { ReleaseFailure } from "./ReleaseFailure.ts"

const git = (root: string, ...args: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8", maxBuffer: 64 << 20 })
  if (error !== undefined || status !== 0) {
    throw new ReleaseFailure(
      `git ${args[0]} failed: ${(error?.message ?? stderr).trim()}`,
      "Releases are made in a clone of the repository."
    )
  }
  return stdout
}

/** Refuses a tree with changes that are not committed: what is released is what is in the history. */
export const refuseDirty = (root: string): void => {
  const lines = git(root, "status", "--porcelain").split("\n").filter((line) => line !== "")
  if (lines.length === 0) return
  throw new ReleaseFailure(
    `The tree has changes that are not committed:\n${lines.slice(0, 10).map((line) => `  ${line}`).join("\n")}`,
    "Commit or stash them."
  )
}

/** The files of the commit that is checked out, by path. */
export const filesOf = (root: string): ReadonlyArray<string> =>
  git(root, "ls-files", "-z").split("\0").filter((path) => path !== "")

export const headOf = (root: string): string => git(root, "rev-parse", "HEAD").trim()

export const refuseTag = (root: string, tag: string): void => {
  if (git(root, "tag", "--list", tag).trim() === "") return
  throw new ReleaseFailure(
    `There is a tag ${tag} already`,
    "Name another version, or remove the tag if nobody has it yet."
  )
}

/** What a release does to the repository, as arguments of git; in this order. */
export const steps = (
  version: string,
  files: ReadonlyArray<string>,
  remote: string
): ReadonlyArray<ReadonlyArray<string>> => [
  ["add", ...files],
  ["commit", "--quiet", "--message", `Release ${version}`],
  ["tag", "--annotate", `v${version}`, "--message", `haproxy-mcp ${version}`],
  ["push", "--atomic", remote, "HEAD", `v${version}`]
]

/** Does them. */
export const perform = (root: string, all: ReadonlyArray<ReadonlyArray<string>>): void => {
  for (const step of all) git(root, ...step)
}
