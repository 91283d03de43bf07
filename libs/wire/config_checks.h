// What configuration files of several servers are checked for. Plain functions; they ask the file system.
#pragma once

#include <string>

namespace hub::wire {

// "host:port", IPv6 in brackets, port 0 to 65535.
bool IsHostPort(const std::string& address);
// Empty for a folder that is there and may be written to, or that can be made; else what is wrong with it.
std::string FolderProblem(const std::string& folder);

}  // namespace hub::wire
