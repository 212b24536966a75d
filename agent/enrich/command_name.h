// A name for what a process runs, from its command line. Pure.
//
// Interpreters are looked through: what matters is the jar, class, script, module or application they were told to run.
//   java      -Dspring.application.name, else -jar x.jar -> x (a version at its end is dropped), else the main class
//   without
//             its package, a class called Main, App, ... by its package; servers started by a well-known class by their
//             name
//   python    gunicorn/uvicorn/hypercorn/daphne/waitress/flask/celery: the application's module; -m module; script
//   node      next, nest, ...: the tool; a file under node_modules: its package; script
//   ruby      puma/unicorn/rackup/rails: the tag they show, else their directory; script
//   php       php-fpm: its pool unless "www"; php -S: the router script or the directory; script
//   dotnet    x.dll -> x
//   others    shell, perl, lua, deno, bun, beam.smp: the script or node name
// A script called index, manage, __main__, wsgi, ... goes by the nearest directory that has a name of its own. Titles
// that servers write over their command line ("nginx: worker process") are understood.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wirespan {

struct CommandName {
  std::string name;          // "" when there is nothing at all to go by
  bool interpreter = false;  // `name` is just the interpreter's: the parent process may know more
};

// exe: path of the executable; arguments: as in /proc/PID/cmdline; directory: where it runs, "" when unknown.
[[nodiscard]] CommandName command_name(std::string_view exe, const std::vector<std::string>& arguments,
                                       std::string_view directory);

// Last component of a path; "/usr/bin/x (deleted)" -> "x".
[[nodiscard]] std::string_view file_name(std::string_view path);

}  // namespace wirespan
