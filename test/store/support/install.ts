/** A process of its own that puts one database in the place of another, to be killed: `install.ts <file> <draft>`. */
import { install } from "../../../src/store/Snapshot.ts"

const [file = "", draft = ""] = process.argv.slice(2)
install(draft, file, ".replaced")
