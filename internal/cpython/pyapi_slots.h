/* The only list of CPython symbols that this project uses. The table (pyapi.h), the loader (pyapi.c) and the check of each
 * prototype against the real headers (tools/check_slots.sh) are all made from it.
 *
 * PY_FUNC(return, name, arguments, ownership, gil, since)   required, in every CPython from 3.9 on
 * PY_OPT (the same)                                         may be missing: test the pointer before use
 * PY_DATA(type, name)                                       the symbol's address is the object
 * PY_EXC (name)                                             the symbol holds a pointer to the object
 *
 * ownership: new (the caller owns the result), borrowed, steals (takes over the last argument), none.
 * gil: gil (must be held), any. since: the first version whose stable ABI or export table has it.
 *
 * Reference counts are reached by functions only. Of the layout of an object one thing is used,
 * where it is found to hold: see type_of in refs.h.
 */

/* Initialisation and end. PyConfig is used blind: a large zeroed block that only CPython looks into. */
PY_FUNC(const char *, Py_GetVersion, (void), none, any, 3.2)
PY_FUNC(int, Py_IsInitialized, (void), none, any, 3.2)
PY_FUNC(void, PyConfig_InitPythonConfig, (PyConfig *), none, any, 3.8)
PY_FUNC(PyStatus, PyConfig_SetBytesArgv, (PyConfig *, Py_ssize_t, char *const *), none, any, 3.8)
PY_FUNC(PyStatus, Py_InitializeFromConfig, (const PyConfig *), none, any, 3.8)
PY_FUNC(void, PyConfig_Clear, (PyConfig *), none, any, 3.8)
PY_FUNC(int, Py_FinalizeEx, (void), none, gil, 3.6)

/* The GIL. */
PY_FUNC(PyThreadState *, PyEval_SaveThread, (void), none, gil, 3.2)
PY_FUNC(void, PyEval_RestoreThread, (PyThreadState *), none, any, 3.2)

PY_FUNC(PyInterpreterState *, PyInterpreterState_Get, (void), borrowed, gil, 3.9)
PY_FUNC(PyThreadState *, PyThreadState_New, (PyInterpreterState *), new, any, 3.2)
PY_FUNC(int, PyThreadState_SetAsyncExc, (unsigned long, PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyThreadState_GetDict, (void), borrowed, gil, 3.2)
PY_FUNC(PyObject *, PyCapsule_New, (void *, const char *, PyCapsule_Destructor), new, gil, 3.2)
PY_FUNC(void *, PyCapsule_GetPointer, (PyObject *, const char *), none, gil, 3.2)

/* References and types. */
PY_FUNC(void, Py_IncRef, (PyObject *), none, gil, 3.2)
PY_FUNC(void, Py_DecRef, (PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyObject_Type, (PyObject *), new, gil, 3.2)
PY_FUNC(unsigned long, PyLong_AsUnsignedLong, (PyObject *), none, gil, 3.2)
PY_FUNC(unsigned long long, PyLong_AsUnsignedLongLong, (PyObject *), none, gil, 3.2)
PY_FUNC(unsigned long, PyType_GetFlags, (PyTypeObject *), none, any, 3.2)
PY_FUNC(int, PyType_IsSubtype, (PyTypeObject *, PyTypeObject *), none, gil, 3.2)

/* Errors. Fetch and Restore are deprecated since 3.12 and still there; one pair for all versions. */
PY_FUNC(PyObject *, PyErr_Occurred, (void), borrowed, gil, 3.2)
PY_FUNC(void, PyErr_Clear, (void), none, gil, 3.2)
PY_FUNC(void, PyErr_SetString, (PyObject *, const char *), none, gil, 3.2)
PY_FUNC(void, PyErr_SetObject, (PyObject *, PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyErr_NoMemory, (void), none, gil, 3.2)
PY_FUNC(void, PyErr_Fetch, (PyObject **, PyObject **, PyObject **), new, gil, 3.2)
PY_FUNC(void, PyErr_NormalizeException, (PyObject **, PyObject **, PyObject **), none, gil, 3.2)
PY_FUNC(int, PyException_SetTraceback, (PyObject *, PyObject *), none, gil, 3.2)
PY_FUNC(int, PyErr_ExceptionMatches, (PyObject *), none, gil, 3.2)
PY_FUNC(int, PyErr_CheckSignals, (void), none, gil, 3.2)
PY_FUNC(void, PyErr_Print, (void), none, gil, 3.2)

/* Numbers. */
PY_FUNC(PyObject *, PyLong_FromLongLong, (long long), new, gil, 3.2)
PY_FUNC(PyObject *, PyLong_FromUnsignedLongLong, (unsigned long long), new, gil, 3.2)
PY_FUNC(PyObject *, PyLong_FromSsize_t, (Py_ssize_t), new, gil, 3.2)
PY_FUNC(long long, PyLong_AsLongLong, (PyObject *), none, gil, 3.2)
PY_FUNC(long long, PyLong_AsLongLongAndOverflow, (PyObject *, int *), none, gil, 3.2)
PY_FUNC(PyObject *, PyFloat_FromDouble, (double), new, gil, 3.2)
PY_FUNC(double, PyFloat_AsDouble, (PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyNumber_Negative, (PyObject *), new, gil, 3.2)

/* Text and bytes. */
PY_FUNC(PyObject *, PyUnicode_DecodeUTF8, (const char *, Py_ssize_t, const char *), new, gil, 3.2)
PY_FUNC(PyObject *, PyUnicode_DecodeFSDefault, (const char *), new, gil, 3.2)
PY_FUNC(PyObject *, PyUnicode_FromString, (const char *), new, gil, 3.2)
PY_FUNC(Py_ssize_t, PyUnicode_GetLength, (PyObject *), none, gil, 3.3)
PY_FUNC(PyObject *, PyUnicode_AsUTF8String, (PyObject *), new, gil, 3.2)
PY_FUNC(const char *, PyUnicode_AsUTF8AndSize, (PyObject *, Py_ssize_t *), borrowed, gil, 3.3)
PY_FUNC(PyObject *, PyUnicode_DecodeLatin1, (const char *, Py_ssize_t, const char *), new, gil, 3.2)
PY_FUNC(PyObject *, PyBytes_FromStringAndSize, (const char *, Py_ssize_t), new, gil, 3.2)
PY_FUNC(int, PyBytes_AsStringAndSize, (PyObject *, char **, Py_ssize_t *), borrowed, gil, 3.2)
PY_FUNC(PyObject *, PyBytes_FromObject, (PyObject *), new, gil, 3.2)

/* Containers. */
PY_FUNC(PyObject *, PyTuple_New, (Py_ssize_t), new, gil, 3.2)
PY_FUNC(int, PyTuple_SetItem, (PyObject *, Py_ssize_t, PyObject *), steals, gil, 3.2)
PY_FUNC(PyObject *, PyTuple_GetItem, (PyObject *, Py_ssize_t), borrowed, gil, 3.2)
PY_FUNC(Py_ssize_t, PyTuple_Size, (PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyIter_Next, (PyObject *), new, gil, 3.2)
PY_FUNC(int, PyList_Append, (PyObject *, PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyList_New, (Py_ssize_t), new, gil, 3.2)
PY_FUNC(int, PyList_SetItem, (PyObject *, Py_ssize_t, PyObject *), steals, gil, 3.2)
PY_FUNC(PyObject *, PyList_GetItem, (PyObject *, Py_ssize_t), borrowed, gil, 3.2)
PY_FUNC(Py_ssize_t, PyList_Size, (PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyDict_New, (void), new, gil, 3.2)
PY_FUNC(int, PyDict_SetItem, (PyObject *, PyObject *, PyObject *), none, gil, 3.2)
PY_FUNC(int, PyDict_SetItemString, (PyObject *, const char *, PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyDict_GetItemString, (PyObject *, const char *), borrowed, gil, 3.2)
PY_FUNC(int, PyDict_Next, (PyObject *, Py_ssize_t *, PyObject **, PyObject **), borrowed, gil, 3.2)
PY_FUNC(Py_ssize_t, PyDict_Size, (PyObject *), none, gil, 3.2)
PY_FUNC(PyObject *, PyDict_Copy, (PyObject *), new, gil, 3.2)

/* Attributes and calls. */
PY_FUNC(PyObject *, PyObject_GetAttrString, (PyObject *, const char *), new, gil, 3.2)
PY_FUNC(PyObject *, PyObject_CallObject, (PyObject *, PyObject *), new, gil, 3.2)
PY_FUNC(PyObject *, PyObject_Str, (PyObject *), new, gil, 3.2)
PY_FUNC(PyObject *, PyObject_Repr, (PyObject *), new, gil, 3.2)

/* Modules and code. */
PY_FUNC(PyObject *, PyModule_New, (const char *), new, gil, 3.2)
PY_FUNC(int, PyModule_AddFunctions, (PyObject *, PyMethodDef *), none, gil, 3.7)
PY_FUNC(PyObject *, PyCFunction_NewEx, (PyMethodDef *, PyObject *, PyObject *), new, gil, 3.2)
PY_FUNC(PyObject *, PyImport_GetModuleDict, (void), borrowed, gil, 3.2)
PY_FUNC(PyObject *, PyImport_ImportModule, (const char *), new, gil, 3.2)
PY_FUNC(PyObject *, PyEval_GetBuiltins, (void), borrowed, gil, 3.2)
PY_FUNC(PyObject *, Py_CompileString, (const char *, const char *, int), new, gil, 3.2)
PY_FUNC(PyObject *, PyEval_EvalCode, (PyObject *, PyObject *, PyObject *), new, gil, 3.2)
PY_OPT(int, PyUnstable_Module_SetGIL, (PyObject *, void *), none, gil, 3.13)

PY_DATA(PyObject, _Py_NoneStruct)
PY_DATA(PyObject, _Py_TrueStruct)
PY_DATA(PyObject, _Py_FalseStruct)
PY_DATA(PyTypeObject, PyLong_Type)
PY_DATA(PyTypeObject, PyFloat_Type)
PY_DATA(PyTypeObject, PyUnicode_Type)
PY_DATA(PyTypeObject, PyBytes_Type)
PY_DATA(PyTypeObject, PyByteArray_Type)
PY_DATA(PyTypeObject, PyMemoryView_Type)
PY_DATA(PyTypeObject, PyTuple_Type)
PY_DATA(PyTypeObject, PyList_Type)
PY_DATA(PyTypeObject, PyDict_Type)

PY_EXC(PyExc_Exception)
PY_EXC(PyExc_TypeError)
PY_EXC(PyExc_ValueError)
PY_EXC(PyExc_RuntimeError)
PY_EXC(PyExc_UnicodeDecodeError)
PY_EXC(PyExc_UnicodeEncodeError)
