// Words and paths of command lines, shared by the readers of each runtime.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace wirespan::command {

using Words = std::span<const std::string>;

// "/a/b.py" -> "b"; only the endings scripts have.
[[nodiscard]] std::string_view stem(std::string_view path);

// Says nothing about what it is part of: index, manage, __main__, wsgi, ...
[[nodiscard]] bool says_nothing(std::string_view name);

// The last component of `directory` that has a name of its own (not src, bin, app, ...); "" when none has.
[[nodiscard]] std::string directory_name(std::string_view directory);

// The script's stem, or its directory's name where the stem says nothing. `cwd` completes a relative path.
[[nodiscard]] std::string script_name(std::string_view path, std::string_view cwd);

// What a python-style application name means: "shop.orders.wsgi:application" -> "shop.orders".
[[nodiscard]] std::string module_name(std::string_view application, std::string_view cwd);

// The words behind the options. `with_value` lists options whose value is the next word, each between blanks: " -a --b
// ".
[[nodiscard]] Words skip_options(Words words, std::string_view with_value);

// The value of an option given as "-x value", "-x=value" or "--long=value"; "" when absent.
[[nodiscard]] std::string_view option(Words words, std::string_view name);

}  // namespace wirespan::command
