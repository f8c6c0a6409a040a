// A text without what its analysis does not depend on but the grammar is slow at: the further items
// of long lists that say the same as those before them but for their literals.
#pragma once

#include <string>
#include <string_view>

namespace hyperdrive::proxy::sql {

/// `text` with fewer items in the lists of IN (…), ARRAY[…] and VALUES (…), (…). Whatever is true
/// of its tables, functions, operators, casts and words like 'now' is true of `text`; the values of
/// its literals, and how many there are, are not. The grammar takes both or neither.
std::string abridged(std::string_view text);

}  // namespace hyperdrive::proxy::sql
