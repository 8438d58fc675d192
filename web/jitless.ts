import { z } from "zod";

// Zod compiles its parsers with `new Function` where it may. The page's content security policy forbids that, and
// the mere attempt is reported as a violation; so this module is imported before any schema is made.
z.config({ jitless: true });
