// Random wrangler files for the property tests: valid, and as ugly as the grammars allow.
#pragma once

#include <random>
#include <string>
#include <vector>

namespace hyperdrive::core::wrangler {

class RandomFile {
 public:
  explicit RandomFile(unsigned seed) : random_(seed) {}

  std::string toml();
  std::string jsonc();

 private:
  unsigned below(unsigned n) { return random_() % n; }
  bool one_in(unsigned n) { return below(n) == 0; }
  const char* pick(std::initializer_list<const char*> choices) {
    return choices.begin()[below(static_cast<unsigned>(choices.size()))];
  }

  std::string toml_key_values(const std::string& prefix, unsigned from);
  std::string toml_array();
  std::string toml_binding(unsigned number);
  std::string toml_stanza(const std::string& path, unsigned number);
  std::string toml_line_end();

  std::string json_white();
  std::string json_object(const std::vector<std::string>& members, unsigned depth);
  std::string json_array(const std::vector<std::string>& items, unsigned depth);
  std::string json_list(char open, char close, const std::vector<std::string>& items,
                        unsigned depth);
  std::vector<std::string> json_scope(unsigned depth, bool with_environments);
  std::string json_hyperdrive(unsigned depth);

  std::mt19937 random_;
  std::string newline_ = "\n";
  std::string unit_;
  bool plain_ = false;  ///< no comments
};

}  // namespace hyperdrive::core::wrangler
