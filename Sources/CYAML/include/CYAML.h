// libyaml's event parser.
#ifndef PRISM_CYAML_H
#define PRISM_CYAML_H

#include <yaml.h>

#endif
