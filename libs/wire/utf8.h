// UTF-8 in what is sent. C++ lets any bytes into a message's text and puts them on the wire; who gets them can't read the whole message, not
// even the one who wrote it. So whoever takes texts from a program checks them first. Plain functions.
#pragma once

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace google::protobuf {
class Message;
}

namespace hub::wire {

// The length of the well-formed sequence (RFC 3629) at the front of `text` and its code point; 0 when there is none. REQUIRES: not empty.
size_t NextCodePoint(absl::string_view text, uint32_t* code_point);
bool IsUtf8(absl::string_view text);
// Refuse(kBadCharacter) with the path of the first text in `message` that is not UTF-8: "identifiers[3].value".
absl::Status CheckUtf8(const google::protobuf::Message& message);

}  // namespace hub::wire
