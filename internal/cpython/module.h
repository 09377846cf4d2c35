/* The built-in module `_erlang`. */
#ifndef ERLPY_MODULE_H
#define ERLPY_MODULE_H

/* Makes the module and puts it into sys.modules. Needs the GIL; 0, or -1 with an exception set. */
int module_install(void);

#endif
