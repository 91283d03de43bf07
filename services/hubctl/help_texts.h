// Examples for `hubctl help`: lines that work against the hub that deploy/quickstart.sh --keep leaves running. Constants.
#pragma once

#include <vector>

#include "absl/strings/string_view.h"

namespace hub::hubctl {

struct HelpTopic {
  absl::string_view command;
  absl::string_view examples;  // each line starts with "hubctl"; comments with "#"
};

const std::vector<HelpTopic>& HelpTopics();

}  // namespace hub::hubctl
