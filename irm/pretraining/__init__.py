"""MLLMReID as runs: continuations, the sheet, the joint stage, the exported encoder and its judgement."""
