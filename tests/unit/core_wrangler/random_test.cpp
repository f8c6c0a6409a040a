#include <cstdlib>
#include <random>

#include "core/wrangler/jsonc_scan.hpp"
#include "core/wrangler/toml_scan.hpp"
#include "core/wrangler/tree.hpp"
#include "unit/core_wrangler/check.hpp"
#include "unit/core_wrangler/random_files.hpp"

#include <nlohmann/json.hpp>

using namespace hyperdrive::core::wrangler;

namespace {

unsigned first_seed() {
  if (const char* given = std::getenv("HYPERDRIVE_SEED")) {
    return static_cast<unsigned>(std::strtoul(given, nullptr, 10));
  }
  return std::random_device{}();
}

/// Three bindings come, and go in an order that the seed decides; the original must come back when
/// they go as a stack does, and the meaning always.
void check_file(const std::string& text, Format format, unsigned seed) {
  const auto tree = parse_tree(text, format, "wrangler.file");
  INFO((tree ? "" : tree.error().message));
  REQUIRE(tree);
  for (const char* environment : {"", "staging"}) {
    const std::string bound = round_trip(text, format, environment);
    const std::string two = must_bind(bound, format, environment, "SECOND");
    CHECK(must_unbind(two, format, environment, "SECOND") == bound);
    const std::string second = must_unbind(two, format, environment);
    CHECK(second == must_bind(text, format, environment, "SECOND"));
    CHECK(must_unbind(second, format, environment, "SECOND") == text);
    // A binding that was there before goes and leaves the rest as it is.
    const auto reading = read_bindings(text, format, "wrangler.file");
    REQUIRE(reading);
    for (const Binding& binding : reading->bindings) {
      if (seed % 3 == 0 && binding.environment == environment) {
        must_unbind(text, format, environment, binding.name);
        must_bind(text, format, environment, binding.name, kOther);
      }
    }
  }
}

}  // namespace

TEST_CASE("random TOML files come back byte for byte") {
  const unsigned start = first_seed();
  for (unsigned seed = start; seed < start + 400; ++seed) {
    const std::string text = RandomFile(seed).toml();
    INFO("HYPERDRIVE_SEED=" << seed << "\n" << text);
    check_file(text, Format::kToml, seed);
  }
}

TEST_CASE("random JSON files come back byte for byte") {
  const unsigned start = first_seed();
  for (unsigned seed = start; seed < start + 400; ++seed) {
    const std::string text = RandomFile(seed).jsonc();
    INFO("HYPERDRIVE_SEED=" << seed << "\n" << text);
    check_file(text, Format::kJsonc, seed);
  }
}

TEST_CASE("damaged files never crash the scanners, and are left alone or edited rightly") {
  const unsigned start = first_seed();
  for (unsigned seed = start; seed < start + 1500; ++seed) {
    const Format format = seed % 2 ? Format::kToml : Format::kJsonc;
    std::string text = format == Format::kToml ? RandomFile(seed).toml() : RandomFile(seed).jsonc();
    std::mt19937 random(seed);
    for (unsigned i = 0, n = 1 + random() % 4; i < n && !text.empty(); ++i) {
      static constexpr std::string_view kBytes = "[]{}\"'#=,:/\\*\n\r\t .\x80\x01";
      const std::size_t at = random() % text.size();
      if (random() % 3 == 0)
        text.erase(at, 1 + random() % 5);
      else if (random() % 2)
        text.insert(at, 1, kBytes[random() % kBytes.size()]);
      else
        text[at] = kBytes[random() % kBytes.size()];
    }
    INFO("HYPERDRIVE_SEED=" << seed << "\n" << text);
    (void)scan_toml(text, "x");
    (void)scan_jsonc(text, "x");
    (void)read_bindings(text, format, "x");
    if (const auto bound = bind(text, format, {"x", "staging"}, "NEW", kId)) {
      const auto back = unbind(*bound, format, {"x", "staging"}, "NEW");
      REQUIRE(back);
      CHECK(*back == text);
    }
  }
}
