// SPDX-License-Identifier: MPL-2.0

// An assembly file lets the package declare functions whose bodies are elsewhere.
