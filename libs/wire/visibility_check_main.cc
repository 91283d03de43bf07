// Run by the build: fails when a field of the public API doesn't say who may see it.
#include <cstdio>

#include "libs/wire/wire.h"

int main() {
  const auto missing = hub::wire::FieldsWithoutAudience();
  for (const std::string& field : missing) {
    std::fprintf(stderr, "proto/fraudhub/v1: %s has no (visible_to)\n", field.c_str());
  }
  return missing.empty() ? 0 : 1;
}
