/**
 * Floor: bytes made durable on another host by SFTP with the fewest steps there are: a new file, its content, a flush, its
 * name, a flush of the folder; one after the other, on a connection that stands (OpenSSH's extensions `fsync@openssh.com`
 * and `posix-rename@openssh.com`). It checks nothing, and nobody is kept from doing the same.
 */
import { readFileSync } from "node:fs"
import { Client, type SFTPWrapper } from "ssh2"

/** How the host is reached. */
export interface SftpTarget {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly keyFile: string
}

const step = <A>(run: (done: (error: Error | null | undefined, value: A) => void) => void): Promise<A> =>
  new Promise((resolve, reject) => run((error, value) => error ? reject(error) : resolve(value)))

const connected = (target: SftpTarget): Promise<Client> =>
  new Promise((resolve, reject) => {
    const client = new Client()
    client.once("ready", () => resolve(client))
    client.once("error", reject)
    client.connect({
      host: target.host,
      port: target.port,
      username: target.user,
      privateKey: readFileSync(target.keyFile)
    })
  })

export class SftpPublishFloor {
  private readonly client: Client
  private readonly sftp: SFTPWrapper
  private readonly folder: string

  private constructor(client: Client, sftp: SFTPWrapper, folder: string) {
    this.client = client
    this.sftp = sftp
    this.folder = folder
  }

  /** Publishes into a folder that is there. */
  static async connect(target: SftpTarget, folder: string): Promise<SftpPublishFloor> {
    const client = await connected(target)
    client.setNoDelay(true)
    const sftp = await step<SFTPWrapper>((done) => client.sftp((error, value) => done(error, value)))
    return new SftpPublishFloor(client, sftp, folder)
  }

  async publish(bytes: Buffer): Promise<void> {
    const { folder, sftp } = this
    const temp = `${folder}/floor.tmp`
    const file = await step<Buffer>((done) => sftp.open(temp, "w", done))
    // As much as one packet takes, all packets on their way at once.
    const size = 32_000
    const parts = Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => index * size)
    await Promise.all(
      parts.map((at) =>
        step<void>((done) => sftp.write(file, bytes, at, Math.min(size, bytes.length - at), at, (error) => done(error)))
      )
    )
    await step<void>((done) => sftp.ext_openssh_fsync(file, (error) => done(error, undefined)))
    await step<void>((done) => sftp.close(file, (error) => done(error, undefined)))
    await step<void>((done) => sftp.ext_openssh_rename(temp, `${folder}/floor`, (error) => done(error, undefined)))
    const own = await step<Buffer>((done) => sftp.open(folder, "r", done))
    await step<void>((done) => sftp.ext_openssh_fsync(own, (error) => done(error, undefined)))
    await step<void>((done) => sftp.close(own, (error) => done(error, undefined)))
  }

  close(): void {
    this.client.end()
  }
}
