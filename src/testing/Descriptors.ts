/**
 * `show fd l`: the sockets that the fake listens on. Its Runtime API as it is; its frontends as on unix sockets, for
 * it routes no traffic. Numbers of descriptors, masks and pointers are invented.
 */
import type { Line } from "./Line.ts"

/** The lines. `sockets` are named as `show cli sockets` does it: `unix@PATH` or `ipv4@HOST:PORT`. */
export const showListeners = (line: Line, frontends: ReadonlyArray<string>, sockets: ReadonlyArray<string>): string => {
  const state = line === "3.0" ? "0x120023(Cl heopi W:sRa R:sRA)" : "0x100023(cl heopi W:sRa R:sRA)"
  const listeners = [
    ...sockets.map((name) => {
      const [, family, port] = /^(ipv[46])@.*:(\d+)$/.exec(name) ?? []
      return `fe=GLOBAL fam=${family === undefined ? "unix" : `${family} lport=${port}`}`
    }),
    ...frontends.map((name) => `fe=${name} fam=unix`)
  ]
  return listeners.map((listener, index) =>
    `${
      String(10 + index).padStart(7)
    } : st=${state} ref=0 gid=1 tmask=0x3 umask=0x0 prmsk=0x3 pwmsk=0x0 owner=0x7f22117da${
      (0x400 + index * 0x40).toString(16)
    } gen=0 tkov=0 iocb=0x7f221476a240(sock_accept_iocb) l.st=RDY ${listener}\n`
  ).join("")
}
