#include <cstdint>

#include "fuzz/mysql_packets.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  hyperdrive::tests::fuzz::mysql_packets({reinterpret_cast<const char*>(data), size});
  return 0;
}
