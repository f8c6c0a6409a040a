#include <cstdint>

#include "fuzz/sql_texts.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hyperdrive::tests::fuzz::sql_texts({reinterpret_cast<const char*>(data), size});
  return 0;
}
