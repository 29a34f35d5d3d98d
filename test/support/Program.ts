/** The program as it is shipped (bundle and launcher). It starts three times faster than the sources. */
import { builtOnce } from "./BuiltOnce.ts"

const built = builtOnce()
if (built === undefined) throw new Error("The program was not built: run the tests with vitest and its configuration.")

/** The file to run with Node. */
export const program: string = built
