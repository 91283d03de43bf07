// The manual page, made from the commands themselves, so that it says what they do. Plain function.
#pragma once

#include <string>

namespace CLI {
class App;
}

namespace hub::hubctl {

// roff, section 1. `app`: the whole program.
std::string ManPage(const CLI::App& app);

}  // namespace hub::hubctl
